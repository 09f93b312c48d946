"""The WSGI application: addresses, who may do what, and the answers; a JSON API beside the pages.

| address | GET | POST |
|---|---|---|
| ``/`` | the settings | |
| ``/preview``, ``/preview/N.json`` | what would be sent now; the bytes of request N | |
| ``/consent``, ``/erase`` | | the forms |
| ``/api/status``, ``/api/history``, ``/api/preview``, ``/api/text`` | JSON | |
| ``/api/consent``, ``/api/erase`` | | JSON, with the token of ``/api/status`` in ``X-Form-Token`` |
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

import sqlalchemy as sa

from ..consent import LEVELS, Receipts
from ..consent.receipts import ConsentError
from ..messenger import Cycle, MessengerSettings
from ..messenger.erasure import erase
from ..messenger.history import History
from ..messenger.host import Host
from ..messenger.parcel import Parcel
from ..messenger.summary import summary
from ..settings import Settings
from ..store import Store
from . import view
from .csrf import Forms, set_cookie
from .html import Part, tag
from .messages import ENGLISH
from .style import STYLE

MOST_BODY_BYTES = 16384
Authorise = Callable[[Mapping[str, Any]], "str | None"]
StartResponse = Callable[..., Any]

_HTML, _JSON, _CSS = "text/html; charset=utf-8", "application/json", "text/css; charset=utf-8"
_HEADERS = [
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
]


class _Answer(Exception):
    """An early answer: status line, key of the catalogue."""

    def __init__(self, status: str, key: str) -> None:
        super().__init__(key)
        self.status = status
        self.key = key


class SettingsPage:
    """Mount it anywhere; it works under any ``SCRIPT_NAME`` and opens the node's database for each request.

    Args:
        authorise: the host's word: given the WSGI environment, the name of the person who may see and change these
            settings, or None. Asked for every request, also for reading.
        settings: of the node's database; from the environment by default.
        messenger: of sending; from the environment by default.
        host: describes itself for the preview.
        words: the message catalogue.
        environ: where DO_NOT_TRACK and the kill switch are looked for.
    """

    def __init__(
        self,
        authorise: Authorise,
        settings: Settings | None = None,
        messenger: MessengerSettings | None = None,
        host: Host | None = None,
        words: Mapping[str, str] = ENGLISH,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._authorise = authorise
        self._settings = settings or Settings.from_env()
        self._messenger = messenger or MessengerSettings.from_env()
        self._host = host or Host()
        self._words = words
        self._environ = os.environ if environ is None else environ

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO") or "/")
        as_json = path.startswith("/api/")
        try:
            who = self._authorise(environ)
            if who is None:
                raise _Answer("403 Forbidden", "problem.forbidden")
            if path == "/style.css":
                return _send(start_response, "200 OK", _CSS, STYLE.encode())
            store = Store.open(self._settings)
            try:
                return _Visit(self, store, environ, who, path).answer(start_response)
            finally:
                store.close()
        except _Answer as early:
            return self._refuse(start_response, environ, early, as_json)
        except sa.exc.SQLAlchemyError:
            down = _Answer("503 Service Unavailable", "problem.database")
            return self._refuse(start_response, environ, down, as_json)

    def _refuse(
        self, start_response: StartResponse, environ: Mapping[str, Any], early: _Answer, as_json: bool
    ) -> Iterable[bytes]:
        text = self._words[early.key]
        if as_json:
            body = {"status": "error", "code": early.key.split(".")[-1], "message": text}
            return _send(start_response, early.status, _JSON, json.dumps(body).encode())
        frame = view.Frame(self._words, str(environ.get("SCRIPT_NAME", "")), "", problem=text)
        back = view.document(frame)
        return _send(start_response, early.status, _HTML, back)

    def cycle(self, store: Store) -> Cycle:
        """What the sending process would run."""
        host = self._host
        return Cycle(store, self._messenger, host.structure, host.workloads, environ=self._environ)


class _Visit:
    """One request of somebody who may be here."""

    def __init__(
        self, page: SettingsPage, store: Store, environ: Mapping[str, Any], who: str, path: str
    ) -> None:
        self._page = page
        self._store = store
        self._environ = environ
        self._who = who
        self._path = path
        self._cycle = page.cycle(store)
        self._forms = Forms(store.fact_or_new("form_key"))
        self._cookie = self._forms.cookie(environ)
        self._fresh_cookie = self._cookie is None
        if self._cookie is None:
            self._cookie = self._forms.new_cookie()

    def answer(self, start_response: StartResponse) -> Iterable[bytes]:
        """Find the address and answer."""
        method = str(self._environ.get("REQUEST_METHOD", "GET"))
        method = "GET" if method == "HEAD" else method
        if self._path.startswith("/preview/") and method == "GET":
            return self._send(start_response, _JSON, self._parcel_bytes())
        known: dict[str, tuple[str, Callable[[], bytes]]] = {
            "/": ("GET", self._settings_page),
            "/preview": ("GET", self._preview_page),
            "/consent": ("POST", self._consent_form),
            "/erase": ("POST", self._erase_form),
            "/api/status": ("GET", self._api_status),
            "/api/history": ("GET", self._api_history),
            "/api/preview": ("GET", self._api_preview),
            "/api/text": ("GET", self._api_text),
            "/api/consent": ("POST", self._api_consent),
            "/api/erase": ("POST", self._api_erase),
        }
        if self._path not in known:
            raise _Answer("404 Not Found", "problem.not_found")
        wanted, handler = known[self._path]
        if method != wanted:
            raise _Answer("405 Method Not Allowed", "problem.method")
        content_type = _JSON if self._path.startswith("/api/") else _HTML
        return self._send(start_response, content_type, handler())

    def _send(self, start_response: StartResponse, content_type: str, body: bytes) -> Iterable[bytes]:
        more = []
        if self._fresh_cookie and self._cookie:
            secure = self._environ.get("wsgi.url_scheme") == "https"
            more.append(set_cookie(self._cookie, str(self._environ.get("SCRIPT_NAME", "")), secure))
        return _send(start_response, "200 OK", content_type, body, more)

    def _frame(self, notice: str = "", problem: str = "", link: Part = None) -> view.Frame:
        base = str(self._environ.get("SCRIPT_NAME", ""))
        token = self._forms.token(self._cookie or "", self._who)
        return view.Frame(self._page._words, base, token, notice, problem, link)

    def _settings_page(self, notice: str = "", problem: str = "", link: Part = None) -> bytes:
        found = summary(self._store, self._cycle, self._page._messenger)
        decision = Receipts(self._store).current()
        frame = self._frame(notice, problem, link)
        return view.settings(frame, found, decision, History(self._store).latest(20))

    def _preview_page(self) -> bytes:
        self._cycle.look()
        parcels = self._parcels()
        shown = list(itertools.islice(parcels, view.SHOWN_PARCELS))
        granted = self._cycle.permission()
        instead = "" if granted.allowed else granted.sentence
        return view.preview(self._frame(), shown, sum(1 for _ in parcels), instead)

    def _parcels(self) -> Iterator[Parcel]:
        return self._cycle.parcels(self._cycle.would_send())

    def _parcel_bytes(self) -> bytes:
        name = self._path.rsplit("/", 1)[-1]
        number = name[: -len(".json")]
        if not name.endswith(".json") or not number.isdigit():
            raise _Answer("404 Not Found", "problem.not_found")
        found = next(itertools.islice(self._parcels(), int(number), None), None)
        if found is None:
            raise _Answer("404 Not Found", "problem.not_found")
        return bytes(found.body)

    def _consent_form(self) -> bytes:
        form = self._form()
        decision = form.get("decision", [""])[0]
        words = self._page._words
        try:
            self._decide(decision, form.get("level", []), "include_past" in form, "page")
        except ConsentError:
            return self._settings_page(problem=words["problem.level"])
        if decision == "off":
            link = tag("p", tag("a", words["refused.link"], href="#erase"))
            return self._settings_page(notice=words["refused.erase"], link=link)
        return self._settings_page(notice=words["done.consent"])

    def _decide(self, decision: str, levels: list[str], include_past: bool, via: str) -> None:
        receipts = Receipts(self._store)
        if decision == "on":
            receipts.agree(levels, who=self._who, via=via, include_past=include_past)
        elif decision == "off":
            receipts.refuse(who=self._who, via=via)
        else:
            raise _Answer("400 Bad Request", "problem.body")

    def _erase_form(self) -> bytes:
        if "confirm" not in self._form():
            return self._settings_page(problem=self._page._words["problem.confirm"])
        counts = erase(self._store)
        text = self._page._words["done.erased"]
        return self._settings_page(
            notice=text.format(actions=counts["action_logs"], workloads=counts["oswl_stats"])
        )

    def _form(self) -> dict[str, list[str]]:
        form = parse_qs(self._body().decode("utf-8", "replace"))
        self._check(form.get("token", [""])[0])
        return form

    def _check(self, token: str) -> None:
        if not self._forms.is_ours(self._environ, self._who, token):
            raise _Answer("403 Forbidden", "problem.stale")

    def _body(self) -> bytes:
        try:
            length = int(self._environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise _Answer("400 Bad Request", "problem.body") from None
        if not 0 <= length <= MOST_BODY_BYTES:
            raise _Answer("413 Content Too Large", "problem.body")
        return bytes(self._environ["wsgi.input"].read(length))

    def _api_status(self) -> bytes:
        found = summary(self._store, self._cycle, self._page._messenger)
        return _json({**found, "form_token": self._forms.token(self._cookie or "", self._who)})

    def _api_history(self) -> bytes:
        rows = History(self._store).latest(1000)
        return _json([{name: _plain(value) for name, value in row.items()} for row in rows])

    def _api_preview(self) -> bytes:
        self._cycle.look()
        return _json(
            [
                {
                    "kind": each.kind,
                    "records": len(each.items),
                    "bytes": len(each.body),
                    "digest": each.digest,
                }
                for each in self._parcels()
            ]
        )

    def _api_text(self) -> bytes:
        return _json([asdict(level) for level in LEVELS])

    def _api_consent(self) -> bytes:
        document = self._document()
        levels = document.get("levels", [])
        if not isinstance(levels, list):
            raise _Answer("400 Bad Request", "problem.body")
        try:
            self._decide(str(document.get("decision")), levels, document.get("include_past") is True, "api")
        except ConsentError:
            raise _Answer("400 Bad Request", "problem.level") from None
        return self._api_status()

    def _api_erase(self) -> bytes:
        if self._document().get("confirm") is not True:
            raise _Answer("400 Bad Request", "problem.confirm")
        return _json(erase(self._store))

    def _document(self) -> dict[str, Any]:
        self._check(str(self._environ.get("HTTP_X_FORM_TOKEN", "")))
        try:
            document = json.loads(self._body())
        except ValueError:
            raise _Answer("400 Bad Request", "problem.body") from None
        if not isinstance(document, dict):
            raise _Answer("400 Bad Request", "problem.body")
        return document


def _send(
    start_response: StartResponse,
    status: str,
    content_type: str,
    body: bytes,
    more: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *_HEADERS, *more]
    start_response(status, headers)
    return [body]


def _json(value: Any) -> bytes:
    return json.dumps(value, default=_plain).encode("ascii")


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
