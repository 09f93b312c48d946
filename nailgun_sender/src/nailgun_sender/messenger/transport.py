"""One connection pool to the collector: proxy, private authorities, client certificate, bounded answers."""

from __future__ import annotations

import ipaddress
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ..errors import SenderError
from .answers import Answer
from .deadline import Deadline
from .parcel import Parcel
from .settings import MessengerSettings

MOST_ANSWER_BYTES = 4 * 1024 * 1024
_OBJECTS = re.compile(r"^.*>: |^\w+\(host=[^)]*\): ")


class TransportError(SenderError):
    """No answer: ``unreachable``, ``timeout``, ``bad_certificate``, ``cut_off`` or ``answer_too_long``; or nothing
    could be asked: ``bad_certificate_file``."""


class Transport:
    """Sends parcels; never follows a redirect, never tries again by itself, takes no proxy from the environment."""

    def __init__(self, settings: MessengerSettings) -> None:
        self._base = settings.collector_url.rstrip("/")
        self._timeout = urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._answer_timeout = settings.answer_timeout
        self._deadline = Deadline()
        self._pool = _pool(settings)
        self._deadline.watch(self._pool)

    def url(self, path: str) -> str:
        """The address of a path at the collector."""
        return self._base + path

    def post(self, parcel: Parcel, headers: dict[str, str]) -> Answer:
        """Send a parcel and read the answer.

        Raises:
            TransportError: there was none.
        """
        headers = {"Content-Type": "application/json", **headers}
        if parcel.gzipped:
            headers["Content-Encoding"] = "gzip"
        return self.request("POST", parcel.path, parcel.wire, headers)

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Send any request; see ``post``."""
        with self._deadline.within(self._answer_timeout) as expired:
            try:
                answer = self._request(method, path, body, headers)
            except (HTTPError, OSError) as error:
                self._deadline.forget()
                code = "timeout" if expired.is_set() else _code(error)
                raise TransportError(code, f"{self._base}: {_sentence(error)}") from error
            except TransportError:
                self._deadline.forget()
                if not expired.is_set():
                    raise
        if expired.is_set():
            # An answer that we cut looks like one that the peer cut, or, without a length, like a whole one.
            self._deadline.forget()
            raise TransportError("timeout", f"{self._base}: no answer in {self._answer_timeout:g} s")
        return answer

    def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        response = self._pool.request(
            method,
            self.url(path),
            body=body,
            headers=headers,
            timeout=self._timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return _read(response)
        finally:
            # An answer that was not read to its end must not leave its rest for the next one.
            response.close()

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()
        self._deadline.forget()


def _read(response: Any) -> Answer:
    body = response.read(MOST_ANSWER_BYTES + 1, decode_content=True)
    if len(body) > MOST_ANSWER_BYTES:
        raise TransportError("answer_too_long", f"The answer has more than {MOST_ANSWER_BYTES} bytes.")
    expected = response.headers.get("content-length")
    if expected is not None and response.length_remaining:
        raise TransportError("cut_off", "The connection was cut in the middle of the answer.")
    return Answer(
        response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(body)
    )


def _pool(settings: MessengerSettings) -> urllib3.PoolManager:
    options: dict[str, Any] = {"num_pools": 2, "maxsize": 1}
    if urlsplit(settings.collector_url).scheme == "https":
        options["ssl_context"] = _trust(settings)
    if settings.proxy_url:
        return urllib3.ProxyManager(settings.proxy_url, **options)
    return urllib3.PoolManager(**options)


def _trust(settings: MessengerSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.client_cert_file:
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
        if getattr(urllib3, "__version__", "").startswith("1.") and _is_address(
            urlsplit(settings.collector_url).hostname
        ):
            # It does not tell the TLS library an address, and compares the certificate's names itself then.
            context.check_hostname = False
    except (OSError, ValueError) as error:
        sentence = f"ca_file, client_cert_file or client_key_file cannot be used: {error}."
        raise TransportError("bad_certificate_file", sentence) from error
    return context


def _is_address(host: str | None) -> bool:
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True


def _code(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.SSLError):
        return "bad_certificate"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "unreachable"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "timeout"
    if isinstance(error, (urllib3.exceptions.ProtocolError, urllib3.exceptions.DecodeError)):
        return "cut_off"
    return "unreachable"


def _sentence(error: Exception) -> str:
    # The library's text repeats the address and its own objects; what is after them says what happened.
    return _OBJECTS.sub("", str(error))[:300]
