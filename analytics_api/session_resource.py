"""Sign-in: optional, off by default (the service listens on loopback and answers only anonymous statistics).

With a token configured, programs send it as a bearer token; the page exchanges it once for a cookie that scripts
cannot read, so that downloads and documentation pages work as well.
"""

from __future__ import annotations

import hmac
import time
from hashlib import sha256

import falcon

from analytics_api.errors import BadRequestError, UnauthorizedError
from analytics_api.settings import Settings

COOKIE = "fuel_stat_session"
_OPEN_PATHS = ("/healthz", "/readyz", "/version", "/metrics", "/api/v1/session", "/api/v1/openapi.json")
_PROTECTED_PREFIXES = ("/api/", "/data-docs", "/dbt-docs")


class SignIn:
    """Whether a request may read, by bearer token or by the cookie of a session."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token
        self.seconds = int(settings.session_hours * 3600)

    @property
    def required(self) -> bool:
        """Whether a token is configured."""
        return bool(self._token)

    def check(self, request: falcon.Request) -> None:
        """Let the request pass.

        Raises:
            UnauthorizedError: ``sign_in_required``.
        """
        if not self.required or request.path in _OPEN_PATHS:
            return
        if not request.path.startswith(_PROTECTED_PREFIXES):
            return
        scheme, _, given = (request.auth or "").partition(" ")
        if scheme.lower() == "bearer" and self.matches(given.strip()):
            return
        if self._session_holds(request.get_cookie_values(COOKIE) or []):
            return
        raise UnauthorizedError("sign_in_required", "Reading needs the access token of this service.")

    def matches(self, token: str) -> bool:
        """Whether this is the token; takes the same time for every wrong one."""
        return hmac.compare_digest(token.encode(), self._token.encode())

    def new_session(self) -> str:
        """The value of a session's cookie: its end, and a signature that needs the token."""
        ends = str(int(time.time()) + self.seconds)
        return f"{ends}.{self._signature(ends)}"

    def _signature(self, ends: str) -> str:
        return hmac.new(self._token.encode(), b"session:" + ends.encode(), sha256).hexdigest()

    def _session_holds(self, values: list[str]) -> bool:
        for value in values:
            ends, _, signature = value.partition(".")
            expected = self._signature(ends)
            if hmac.compare_digest(signature.encode(), expected.encode()) and int(ends) > time.time():
                return True
        return False


class SessionResource:
    """``/api/v1/session``: is a sign-in needed, sign in, sign out."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 ``{"required": …}``."""
        response.media = {"required": self._sign_in.required}

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """204 with the session's cookie for ``{"token": "…"}``; 400 ``bad_request``; 401 ``wrong_token``."""
        given = request.get_media(default_when_empty=None)
        token = given.get("token") if isinstance(given, dict) else None
        if not isinstance(token, str):
            raise BadRequestError("bad_request", 'The body is a JSON object like {"token": "…"}.')
        if self._sign_in.required and not self._sign_in.matches(token):
            raise UnauthorizedError("wrong_token", "That is not the access token of this service.")
        if self._sign_in.required:
            response.set_cookie(
                COOKIE,
                self._sign_in.new_session(),
                max_age=self._sign_in.seconds,
                path="/",
                secure=request.forwarded_scheme == "https",
                http_only=True,
                same_site="Strict",
            )
        response.status = falcon.HTTP_204

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        """204: the session is over."""
        response.unset_cookie(COOKIE, path="/", same_site="Strict")
        response.status = falcon.HTTP_204
