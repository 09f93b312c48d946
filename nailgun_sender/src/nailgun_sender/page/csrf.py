"""A form counts only when it came from our page, in this browser, for this person.

A random cookie (SameSite=Strict) and a token made of it, of who is signed in, and of a key that never leaves the
node: another site can neither read the one nor make the other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

COOKIE = "fuel_stat_form"
_COOKIE_FORM = re.compile(r"[0-9a-f]{32}\Z")


class Forms:
    """Makes and checks tokens.

    Args:
        key: kept in the node's database, the same in every process of the host.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode("ascii")

    def cookie(self, environ: Mapping[str, Any]) -> str | None:
        """The browser's cookie, None when it has none of ours."""
        try:
            found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
        except CookieError:
            return None
        return found.value if found and _COOKIE_FORM.match(found.value) else None

    @staticmethod
    def new_cookie() -> str:
        """A cookie for a browser that has none."""
        return secrets.token_hex(16)

    def token(self, cookie: str, who: str) -> str:
        """What a form carries."""
        return hmac.new(self._key, f"{cookie}\n{who}".encode(), hashlib.sha256).hexdigest()

    def is_ours(self, environ: Mapping[str, Any], who: str, token: str) -> bool:
        """Whether the request comes from a form of ours."""
        if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
            return False
        cookie = self.cookie(environ)
        return cookie is not None and hmac.compare_digest(self.token(cookie, who), token)


def set_cookie(value: str, path: str, secure: bool) -> tuple[str, str]:
    """The header that gives a browser its cookie."""
    ending = "; Secure" if secure else ""
    return "Set-Cookie", f"{COOKIE}={value}; Path={path or '/'}; HttpOnly; SameSite=Strict{ending}"
