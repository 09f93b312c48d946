"""What a sender may meet on its way: peers that behave badly, a proxy, and an authority that signs certificates."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Serve = Callable[[socket.socket, bytes], None]


def read_request(connection: socket.socket) -> bytes:
    """A whole request: its head, and its body by Content-Length; empty when the peer went away."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = connection.recv(65536)
        if not piece:
            return b""
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    while lengths and len(body) < int(lengths[0]):
        piece = connection.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


@contextmanager
def peer(serve: Serve) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads each request and then does as it is told; gives its address and what it read."""
    listening = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()
    seen: list[bytes] = []
    open_ones: list[socket.socket] = []

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request = read_request(connection)
            seen.append(request)
            serve(connection, request)
        connection.close()

    def accept() -> None:
        while not ending.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_ones.append(connection)
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
    finally:
        ending.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for each in open_ones:
            each.close()
        thread.join()


def through(connection: socket.socket, request: bytes) -> None:
    """Be a proxy: tunnel a CONNECT, hand on a request with an absolute address."""
    method, target, _ = request.split(b"\r\n", 1)[0].split(b" ")
    address = target.decode()
    if method != b"CONNECT":
        address = address.split("//", 1)[1].split("/", 1)[0]
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5) as onward:
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = b"/" + target.split(b"//", 1)[1].split(b"/", 1)[1]
            onward.sendall(request.replace(target, path, 1))
        sides = {connection: onward, onward: connection}
        while True:
            for readable in select.select(list(sides), [], [], 5)[0]:
                piece = readable.recv(65536)
                if not piece:
                    return
                sides[readable].sendall(piece)


class Authority:
    """Signs certificates; everything lies in a folder as PEM files."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._own = self._certificate(self._name, self._key.public_key(), timedelta(days=2), None, ca=True)
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self._own.public_bytes(serialization.Encoding.PEM))

    def _certificate(self, name, public, lasts, address, *, ca=False):
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            made = made.add_extension(usage, critical=True)
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            made = made.add_extension(names, critical=False)
        return made.sign(self._key, hashes.SHA256())

    def issue(
        self, name: str, address: str = "127.0.0.1", lasts: timedelta = timedelta(days=1)
    ) -> tuple[Path, Path]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._certificate(subject, key.public_key(), lasts, address)
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def server(self, *, clients: bool = False, **options) -> ssl.SSLContext:
        """A server's side; with ``clients`` it asks for a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("server", **options))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context
