"""`fuel-stat-sender doctor`: each thing that can be wrong is found by name, with what to do."""

from __future__ import annotations

from email.utils import formatdate
from time import time

import pytest
from nailgun_sender.cli.main import main
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger.signing import Key

from tests.integration.messenger.conftest import Collector
from tests.integration.messenger.peers import Authority, peer

PING = b'{"status": "ok", "exec_time": 0}'


@pytest.fixture
def node(store, tmp_path, monkeypatch):
    """A node whose operator agreed; its settings are in the environment."""
    for name in ("DO_NOT_TRACK", "FUEL_STAT_SENDER_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    Receipts(store).agree(["actions"], who="op", via="test")

    def set_up(**options: object) -> None:
        values = {"DATABASE_URL": f"sqlite:///{tmp_path}/node.sqlite", "READ_TIMEOUT": "0.5", **options}
        for name, value in values.items():
            monkeypatch.setenv(f"FUEL_STAT_SENDER_{name}", str(value))

    set_up()
    return set_up


@pytest.fixture
def findings(capsys):
    """Run the doctor: exit code, and by name whether it is fine, what it says and what to do."""

    def run() -> tuple[int, dict[str, tuple[str, str]]]:
        capsys.readouterr()
        code = main(["doctor"])
        found: dict[str, tuple[str, str]] = {}
        name = ""
        for line in capsys.readouterr().out.splitlines():
            if line.startswith("       -> "):
                found[name] = (found[name][0], line[10:])
            else:
                name = line[5:].split(":")[0]
                found[name] = (line, "")
        return code, found

    return run


def answering(body: bytes, ahead: float = 0):
    """A collector that answers this, by its own clock."""

    def serve(connection, request):
        head = f"HTTP/1.1 200 OK\r\nDate: {formatdate(time() + ahead, usegmt=True)}\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"\r\n" + body)

    return serve


def test_a_healthy_node_has_nothing_wrong(node, findings):
    """Database, consent, key, names, collector and clock are looked at and fine."""
    with peer(answering(PING)) as (url, _):
        node(COLLECTOR_URL=url)
        code, found = findings()
    assert code == 0
    assert set(found) == {"database", "consent", "key", "names", "collector", "clock"}
    assert all(line.startswith("ok") for line, _ in found.values())


@pytest.mark.parametrize(
    ("serve", "what", "advice"),
    [
        (answering(PING, 365 * 86400), "clock", "Set the clock"),
        (answering(PING, -365 * 86400), "clock", "Set the clock"),
        (answering(b"<html>hotel</html>"), "collector", "does not lead to a collector"),
        (lambda connection, request: connection.recv(1), "collector", "A firewall may drop"),
    ],
    ids=["clock behind", "clock ahead", "portal", "silent"],
)
def test_what_is_wrong_beyond_the_node_is_named(node, findings, serve, what, advice):
    """A clock a year off, a portal in between, a firewall that drops: found, with what to do about it."""
    with peer(serve) as (url, _):
        node(COLLECTOR_URL=url)
        code, found = findings()
    assert code == 1
    line, told = found[what]
    assert line.startswith("FAIL")
    assert advice in told


@pytest.mark.parametrize(
    ("options", "what", "advice"),
    [
        ({"COLLECTOR_URL": "https://collector.invalid"}, "names", "/etc/resolv.conf"),
        ({"COLLECTOR_URL": "http://127.0.0.1:1"}, "collector", "Check collector_url"),
        ({"PROXY_URL": "http://proxy.invalid:3128"}, "proxy", "the proxy"),
        ({"DATABASE_URL": "sqlite:////dev/null/x.sqlite"}, "database", "FUEL_STAT_SENDER_DATABASE_URL"),
        ({"CA_FILE": "/nonexistent.pem", "COLLECTOR_URL": "https://127.0.0.1:1"}, "TLS", "ca_file"),
    ],
    ids=["name", "address", "proxy", "database", "file"],
)
def test_what_is_wrong_on_the_node_is_named(node, findings, options, what, advice):
    """A wrong name, address, proxy, database or file."""
    node(**options)
    code, found = findings()
    assert code == 1
    assert found[what][0].startswith("FAIL")
    assert advice in found[what][1]


def test_a_certificate_that_nobody_trusts_is_named(node, findings, tmp_path):
    """A private authority that was not set: the advice is to set it."""
    server = Collector(Authority(tmp_path).server())
    try:
        node(COLLECTOR_URL=server.url)
        code, found = findings()
    finally:
        server.close()
    assert code == 1
    assert "Set ca_file" in found["TLS"][1]


def test_a_key_that_others_can_read_or_that_is_none_is_named(node, findings, tmp_path):
    """Too open a file, and one that is no key."""
    key = tmp_path / "node.key"
    Key.load_or_make(key)
    key.chmod(0o644)
    node(KEY_FILE=key, COLLECTOR_URL="http://127.0.0.1:1")
    assert f"chmod 600 {key}" in findings()[1]["key"][1]
    key.write_text("no key")
    key.chmod(0o600)
    assert "enrol with a one-time code" in findings()[1]["key"][1]
