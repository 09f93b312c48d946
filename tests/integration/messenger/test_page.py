"""The settings page and its JSON API as a WSGI application on a real database."""

from __future__ import annotations

import hashlib
import io
import json
import re
from urllib.parse import urlencode

import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import MessengerSettings
from nailgun_sender.page import SettingsPage
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

from tests.integration.messenger.conftest import add_actions


class Browser:
    """Keeps the cookie, as a browser does."""

    def __init__(self, page: SettingsPage) -> None:
        self.page = page
        self.cookie = ""
        self.status = ""
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"", **environ: str) -> str:
        """One request; the body of the answer as text."""

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.status, self.headers = status, dict(headers)

        request = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "/statistics",
            "PATH_INFO": path,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "https",
            "HTTP_COOKIE": self.cookie,
            **environ,
        }
        answer = b"".join(self.page(request, start_response)).decode()
        if "Set-Cookie" in self.headers:
            self.cookie = self.headers["Set-Cookie"].split(";")[0]
        return answer

    def token(self) -> str:
        """The token of the form."""
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.ask("GET", "/"))
        assert found
        return found[1]

    def submit(self, path: str, **fields) -> str:
        """Send a form as the page has it."""
        body = urlencode({"token": self.token(), **fields}, doseq=True).encode()
        return self.ask("POST", path, body)


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A node's database of its own."""
    return Settings(database_url=f"sqlite:///{tmp_path}/node.sqlite")


@pytest.fixture
def store(settings):
    """The same database, open."""
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def browser(settings) -> Browser:
    """Somebody whom the host lets in."""
    messenger = MessengerSettings(collector_url="http://127.0.0.1:1")
    return Browser(SettingsPage(lambda environ: "ada", settings, messenger, environ={}))


def test_the_switch_and_the_levels_are_kept_with_a_receipt(browser, store):
    """Agreeing on the page keeps who, when, which levels and which text; switching off does too."""
    assert "Not decided" in browser.ask("GET", "/")
    answer = browser.submit("/consent", decision="on", level=["actions", "workloads"])
    assert "Sending is on" in answer
    decision = Receipts(store).current()
    assert (decision.state, decision.levels, decision.who, decision.via) == (
        "on",
        ("actions", "workloads"),
        "ada",
        "page",
    )
    assert decision.since is not None
    assert "Sending is off" in browser.submit("/consent", decision="off")
    assert [each.state for each in Receipts(store).history()] == ["off", "on"]


def test_no_level_is_no_consent(browser, store):
    """Agreeing to nothing is told so and changes nothing."""
    assert "Choose at least one part" in browser.submit("/consent", decision="on")
    assert Receipts(store).current().state == "undecided"


@pytest.mark.parametrize("how", ["no token", "no cookie", "other site", "other person"])
def test_a_form_from_elsewhere_changes_nothing(browser, settings, store, how):
    """Without the cookie, the token, the same site or the same person nothing is changed."""
    token = browser.token()
    environ = {}
    if how == "no token":
        token = "0" * 64
    elif how == "no cookie":
        browser.cookie = ""
    elif how == "other site":
        environ = {"HTTP_SEC_FETCH_SITE": "cross-site"}
    else:
        browser.page._authorise = lambda environ: "mallory"
    body = urlencode({"token": token, "decision": "on", "level": "actions"}).encode()
    browser.ask("POST", "/consent", body, **environ)
    assert browser.status.startswith("403")
    assert Receipts(store).current().state == "undecided"


@pytest.mark.parametrize("path", ["/", "/preview", "/api/status", "/style.css"])
def test_whom_the_host_does_not_know_sees_nothing(settings, path):
    """The host's word is asked for every address."""
    browser = Browser(SettingsPage(lambda environ: None, settings, MessengerSettings(), environ={}))
    answer = browser.ask("GET", path)
    assert browser.status.startswith("403")
    assert "Collector" not in answer


def test_the_preview_shows_the_bytes_that_would_be_sent(browser, store):
    """The page, the file behind it and the JSON API name the same digest of the same bytes."""
    add_actions(store, 3)
    listed = json.loads(browser.ask("GET", "/api/preview"))
    raw = browser.ask("GET", "/preview/0.json")
    assert hashlib.sha256(raw.encode()).hexdigest() == listed[0]["digest"]
    assert listed[0]["digest"] in browser.ask("GET", "/preview")
    assert len(json.loads(raw)["action_logs"]) == 3
    browser.ask("GET", "/preview/1.json")
    assert browser.status.startswith("404")


def test_what_people_typed_is_escaped(settings, store):
    """A name with markup in it does not become markup."""
    page = SettingsPage(lambda environ: "<script>x</script>", settings, MessengerSettings(), environ={})
    browser = Browser(page)
    answer = browser.submit("/consent", decision="on", level="actions")
    assert "<script>" not in answer
    assert "&lt;script&gt;" in answer
    assert "default-src 'none'" in browser.headers["Content-Security-Policy"]


def test_the_environments_no_is_shown(settings, store):
    """DO_NOT_TRACK wins over the operator's yes, and the page says so."""
    Receipts(store).agree(["actions"], who="ada", via="test")
    page = SettingsPage(lambda environ: "ada", settings, MessengerSettings(), environ={"DO_NOT_TRACK": "1"})
    assert "DO_NOT_TRACK=1 is set" in Browser(page).ask("GET", "/")


def test_erasing_needs_the_tick_and_deletes(browser, store):
    """Without the tick nothing is deleted; with it everything recorded is."""
    add_actions(store, 2)
    assert "Nothing was deleted" in browser.submit("/erase")
    assert "Deleted: 2 actions" in browser.submit("/erase", confirm="yes")
    assert json.loads(browser.ask("GET", "/api/status"))["waiting"]["action_logs"] == 0


def test_the_json_api_changes_consent_with_the_token_of_status(browser, store):
    """The same decision by JSON; without the token it is refused."""
    token = json.loads(browser.ask("GET", "/api/status"))["form_token"]
    body = json.dumps({"decision": "on", "levels": ["actions"], "include_past": True}).encode()
    browser.ask("POST", "/api/consent", body)
    assert browser.status.startswith("403")
    answer = json.loads(browser.ask("POST", "/api/consent", body, HTTP_X_FORM_TOKEN=token))
    assert (answer["consent"], answer["levels"]) == ("on", ["actions"])
    assert Receipts(store).current().since is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", "404"), ("POST", "/", "405"), ("GET", "/consent", "405")],
)
def test_wrong_addresses_are_answered(browser, method, path, status):
    """Unknown address 404, wrong method 405."""
    browser.ask(method, path)
    assert browser.status.startswith(status)
