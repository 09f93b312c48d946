"""The proxy that is documented, in front of a collector: deploy/nginx.conf as it is shipped but for ports and paths."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import Pair
from tests.integration.ingest.samples import action
from tests.integration.ingest.server import REPOSITORY, Server, free_port
from tests.integration.ingest.test_tls import make_certificate, wait_for

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: the proxy's configuration is not run"),
]
ADDRESS = "/api/v1/action_logs/"
QUOTA = 6


@dataclass(frozen=True)
class Proxied:
    """A collector behind nginx."""

    port: int
    server: Server
    trust: ssl.SSLContext

    def client(self, source: str = "127.0.0.1") -> httpx.Client:
        """A client at this address of the loopback network."""
        transport = httpx.HTTPTransport(verify=self.trust, local_address=source)
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", transport=transport, timeout=20)


@pytest.fixture
def proxied(collector_pair: Pair, serve: Callable[..., Server], tmp_path: Path) -> Iterator[Proxied]:
    """One worker, so that its quota is the whole quota, and nginx as root's or anybody's process."""
    server = serve(
        collector_pair.dsn("fuel_ingest"), workers=1,
        FUEL_STAT_INGEST_PROXIES="127.0.0.1", FUEL_STAT_INGEST_PREFIX_PER_HOUR=str(QUOTA),
    )  # fmt: skip
    make_certificate(tmp_path)
    port = free_port()
    site = (REPOSITORY / "deploy" / "nginx.conf").read_text()
    for shipped, here in (
        ("127.0.0.1:8001", server.url.removeprefix("http://")),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/letsencrypt/live/collector.example.org/fullchain.pem", str(tmp_path / "cert.pem")),
        ("/etc/letsencrypt/live/collector.example.org/privkey.pem", str(tmp_path / "key.pem")),
        ("/etc/letsencrypt/live/stats.example.org/fullchain.pem", str(tmp_path / "cert.pem")),
        ("/etc/letsencrypt/live/stats.example.org/privkey.pem", str(tmp_path / "key.pem")),
    ):
        assert shipped in site
        site = site.replace(shipped, here)
    (tmp_path / "site.conf").write_text(site)
    temporary = "".join(
        f"{what}_temp_path {tmp_path}/{what};\n"
        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"user root;\ndaemon off;\npid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/nginx.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}include {tmp_path}/site.conf;\n}}\n"
    )
    command = [
        str(NGINX),
        "-p",
        str(tmp_path),
        "-e",
        str(tmp_path / "nginx.log"),
        "-c",
        str(tmp_path / "nginx.conf"),
    ]
    process = subprocess.Popen(command)
    try:
        proxied = Proxied(port, server, ssl.create_default_context(cafile=str(tmp_path / "cert.pem")))
        wait_for(lambda: process.poll() is None and _answers(proxied))
        yield proxied
    finally:
        process.terminate()
        process.wait(20)


def _answers(proxied: Proxied) -> bool:
    try:
        with proxied.client() as client:
            return client.get("/").status_code == 404
    except httpx.TransportError:
        return False


def test_who_a_client_is_is_what_the_proxy_saw(proxied: Proxied) -> None:
    """Addresses that a client forges do not get it another quota; another network has its own; the 429 stays JSON."""
    with proxied.client("127.0.5.1") as client:
        for number in range(QUOTA):
            forged = {"X-Forwarded-For": f"198.51.{number}.7"}
            answer = client.post(ADDRESS, json={"action_logs": [action("proxied", number)]}, headers=forged)
            assert answer.json()["action_logs"][0]["status"] == "added"
        answer = client.post(ADDRESS, json={"action_logs": [action("proxied", 99)]}, headers=forged)
    assert (answer.status_code, answer.json()["code"]) == (429, "prefix_quota")
    assert int(answer.headers["Retry-After"]) > 0
    with proxied.client("127.0.6.1") as client:
        answer = client.post(ADDRESS, json={"action_logs": [action("proxied", 99)]})
    assert answer.json()["action_logs"][0]["status"] == "added"


def test_what_is_too_large_is_refused_in_json(proxied: Proxied) -> None:
    """By the collector above its own limit, by the proxy above its; a node can read both."""
    with proxied.client() as client:
        for megabytes in (17, 33):
            answer = client.post(ADDRESS, content=b" " * megabytes * 2**20)
            assert (answer.status_code, answer.json()["status"]) == (413, "error")


def test_floods_and_failures_are_json_too(proxied: Proxied) -> None:
    """Beyond the proxy's rate, and when the collector is down, a node is told to come again; inside stays inside."""
    with proxied.client() as client, ThreadPoolExecutor(8) as pool:
        answer = client.get("/metrics")
        assert (answer.status_code, answer.json()["status"]) == (404, "error")
        answers = list(pool.map(lambda _: client.get("/api/v1/ping/"), range(250)))
        assert {answer.status_code for answer in answers} == {200, 503}
        assert all(answer.json()["status"] for answer in answers)
        proxied.server.stop()
        wait_for(lambda: client.get("/api/v1/ping/").status_code == 503)
        answer = client.get("/api/v1/ping/")
    assert answer.json()["status"] == "error"
    assert answer.headers["Retry-After"] == "60"
