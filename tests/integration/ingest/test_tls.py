"""TLS in the collector itself, its certificate renewed while it runs, and the guard against plain HTTP."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.conftest import Pair
from tests.integration.ingest.samples import action
from tests.integration.ingest.server import REPOSITORY, Server, free_port


def make_certificate(folder: Path) -> int:
    """Write cert.pem and key.pem for 127.0.0.1 into the folder; returns the serial number."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate.serial_number


def served_serial(port: int) -> int:
    """The serial number of the certificate that is shown at that port now."""
    text = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    return x509.load_pem_x509_certificate(text.encode()).serial_number


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.slow
def test_tls_and_a_renewed_certificate(
    collector_pair: Pair, serve: Callable[..., Server], tmp_path: Path
) -> None:
    """Nodes speak TLS, a listener for this machine stays plain; HUP renews the certificate, a broken one is not taken.

    A hundred connections that never shake hands do not disturb, and a client that speaks plain HTTP gets no answer.
    """
    first, port = make_certificate(tmp_path), free_port()
    server = serve(
        collector_pair.dsn("fuel_ingest"),
        workers=1,
        FUEL_STAT_INGEST_BIND=f"127.0.0.1:{port}",
        FUEL_STAT_INGEST_CERTFILE=str(tmp_path / "cert.pem"),
        FUEL_STAT_INGEST_KEYFILE=str(tmp_path / "key.pem"),
    )
    silent = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
    url = f"https://127.0.0.1:{port}"
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with httpx.Client(base_url=url, verify=context, timeout=5) as client:
        # Larger than what TLS delivers at once, and several on one connection.
        for number in range(3):
            records = [action("tls", number * 1000 + place) for place in range(500)]
            answer = client.post("/api/v1/action_logs/", json={"action_logs": records})
            assert len(answer.json()["action_logs"]) == 500
        shown = client.get("/version").json()["listeners"]
    assert {(one["address"], one["tls"], one["exposed"]) for one in shown} == {
        (f"127.0.0.1:{port}", True, False),
        (server.url.removeprefix("http://"), False, False),
    }
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
    for connection in silent:
        connection.close()

    assert served_serial(port) == first
    second = make_certificate(tmp_path)
    assert served_serial(port) == first
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: served_serial(port) == second)
    (tmp_path / "key.pem").write_text("no key at all")
    workers = set(server.worker_pids())
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: bool(set(server.worker_pids()) - workers))
    wait_for(lambda: not workers & set(server.worker_pids()))
    assert served_serial(port) == second
    assert "bad_certificate" in server.log.read_text()


def start(tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Start a collector that is expected to refuse."""
    command = [sys.executable, "-m", "gunicorn", "-c", "ingest_api/gunicorn_conf.py"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUEL_STAT_INGEST")}
    return subprocess.run(
        [*command, "ingest_api.wsgi:application"],
        cwd=REPOSITORY,
        env={**kept, **environ},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("code", "environ"),
    [
        ("plain_http", {"FUEL_STAT_INGEST_BIND": "0.0.0.0:0"}),
        ("bad_option", {"FUEL_STAT_INGEST_CERTFILE": "cert.pem"}),
    ],
)
def test_it_does_not_start_when_it_would_be_read_along(
    tmp_path: Path, code: str, environ: dict[str, str]
) -> None:
    """Plain HTTP beyond loopback, or half a certificate: one line that says what to do, exit code 1."""
    done = start(tmp_path, **environ)
    assert done.returncode == 1
    assert f"ingest: {code}: " in done.stderr
    assert "Traceback" not in done.stderr
