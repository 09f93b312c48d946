"""The settings page in a real, headless Chromium: with and without JavaScript, by keyboard, seen by other sites."""

from __future__ import annotations

import hashlib
import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import Cycle, MessengerSettings
from nailgun_sender.messenger.host import Host
from nailgun_sender.page import SettingsPage
from nailgun_sender.settings import Settings
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.analytics.test_page import FLAGS, chromium
from tests.integration.messenger.conftest import add_actions, len_of, unsent

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MOUNTED = "/statistics"
#: where screenshots are kept for those who want to look; nowhere by default
SCREENSHOTS = os.environ.get("FUEL_STAT_SCREENSHOTS")
CONTRAST = """
() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    if (!walk.currentNode.textContent.trim()) continue;
    const node = walk.currentNode.parentElement;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walk.currentNode.textContent.trim()]);
  }
  return found;
}
"""
FOCUSED = """
() => {
  const e = document.activeElement;
  return [e.id || e.textContent, getComputedStyle(e).outlineStyle];
}
"""
UNNAMED = """
() => [...document.querySelectorAll('input:not([type=hidden]), button, a, summary, select, textarea')]
  .filter(e => !(e.labels && e.labels.length && e.labels[0].textContent.trim()) && !e.textContent.trim())
  .map(e => e.outerHTML)
"""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def served(application: Any) -> Iterator[int]:
    """A WSGI application on loopback; its port."""
    server = _Threaded(("127.0.0.1", 0), _Quiet)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Described:
    """A host with a structure."""

    def structure(self) -> dict[str, Any]:
        """A small one."""
        return {"clusters_num": 0, "allocated_nodes_num": 0, "unallocated_nodes_num": 2, "clusters": []}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of this module; each takes a context of its own."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def messenger(collector) -> MessengerSettings:
    """Settings of sending."""
    return MessengerSettings(collector_url=collector.url)


@pytest.fixture
def site(store, tmp_path, messenger) -> Iterator[str]:
    """A host that mounts the page; three actions were recorded."""
    add_actions(store, 3)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/node.sqlite")
    page = SettingsPage(lambda environ: "ada", settings, messenger, Host(Described()), environ={})

    def host(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ["PATH_INFO"].startswith(MOUNTED):
            start_response("200 OK", [("Content-Type", "image/x-icon")])
            return [b""]
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = MOUNTED, environ["PATH_INFO"][len(MOUNTED) :]
        return page(environ, start_response)

    with served(host) as port:
        yield f"http://127.0.0.1:{port}{MOUNTED}/"


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """A fresh page; it must neither complain nor ask any other machine."""
    options = {"viewport": {"width": 1100, "height": 900}, **options}
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda asked: None if "//127.0.0.1:" in asked.url else complaints.append(asked.url))
    yield page
    context.close()
    assert complaints == []


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where the operator of the tests wants one."""
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no javascript"])
def test_the_whole_life_of_a_consent(browser, site, store, collector, messenger, scripts):
    """Look, agree, see the preview, send, see what was sent, opt out, be offered erasure, erase: all by clicking."""
    with opened(browser, java_script_enabled=scripts) as page:
        page.goto(site)
        expect(page.locator(".state")).to_have_text("Not decided: nothing is sent")
        page.get_by_text("Every field of: What is done on this master node").click()
        expect(page.get_by_text("How many people work here")).to_be_visible()
        picture(page, f"undecided-{scripts}")
        page.get_by_role("button", name="Agree and send").click()
        expect(page.get_by_role("alert")).to_have_text("Choose at least one part, or switch sending off.")
        page.get_by_label("What is done on this master node").check()
        page.get_by_label("How the environments look").check()
        page.get_by_label("Also send what was recorded before I agreed").check()
        page.get_by_role("button", name="Agree and send").click()
        expect(page.locator(".state")).to_have_text("Sending is on")
        assert Receipts(store).current().levels == ("actions", "configuration")

        page.get_by_role("link", name="See exactly what would be sent now").click()
        shown = [each.inner_text() for each in page.locator("pre").all()]
        picture(page, f"preview-{scripts}")
        page.get_by_role("link", name="Back to the settings").click()
        Cycle(store, messenger, Described(), environ={}).run()
        assert [seen.body.decode() for seen in collector.seen] == shown
        page.reload()
        digests = [each.get_attribute("title") for each in page.locator("td[title]").all()]
        assert digests[::-1] == [hashlib.sha256(text.encode()).hexdigest() for text in shown]
        picture(page, f"sent-{scripts}")

        page.get_by_role("button", name="Switch sending off").click()
        expect(page.locator(".state")).to_have_text("Sending is off")
        page.get_by_role("status").get_by_role("link", name="Delete it").click()
        assert page.url.endswith("#erase")
        page.get_by_role("button", name="Delete what was recorded").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted")
        picture(page, f"off-{scripts}")
        page.get_by_label("I want to delete it").check()
        page.get_by_role("button", name="Delete what was recorded").click()
        expect(page.get_by_role("status")).to_contain_text("Deleted: 3 actions")
        picture(page, f"erased-{scripts}")
    assert len_of(store) == 0


def test_it_is_worked_by_keys_alone(browser, site, store):
    """Tab reaches every box, part and button in the order of the page, with a ring; keys agree to one part."""
    with opened(browser) as page:
        page.goto(site)
        reached = []
        for _ in range(20):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused[0] == "level-actions":
                page.keyboard.press("Space")
            reached.append(focused)
            if focused[0] == "Agree and send":
                page.keyboard.press("Enter")
                break
        expect(page.locator(".state")).to_have_text("Sending is on")
    names = [name for name, _ in reached]
    order = ["level-actions", "level-configuration", "level-workloads", "level-contact", "include_past"]
    assert [name for name in names if name in order] == order
    assert sum(name.startswith("Every field of:") for name in names) == 4
    assert {ring for _, ring in reached} != {"none"}
    assert Receipts(store).current().levels == ("actions",)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 390])
def test_it_can_be_read_by_everybody(browser, site, scheme, width):
    """Contrast of all text at least 4.5, names on all controls, headings in order, and no scrolling sideways."""
    for path in ("", "preview"):
        with opened(browser, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
            page.goto(site + path)
            for each in page.locator("summary").all():
                each.click()
            weak = [(round(ratio, 1), text) for ratio, text in page.evaluate(CONTRAST) if ratio < 4.5]
            assert weak == []
            assert page.evaluate(UNNAMED) == []
            levels = page.evaluate(
                "() => [...document.querySelectorAll('h1, h2, h3')].map(e => +e.tagName[1])"
            )
            assert levels[0] == 1
            assert levels.count(1) == 1
            assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
            assert page.locator("html").get_attribute("lang") == "en"
            assert page.locator("main").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            picture(page, f"read-{path or 'settings'}-{scheme}-{width}")


def test_another_site_cannot_agree_for_the_operator(browser, site, store):
    """A page elsewhere that posts our form, in the operator's own browser, changes nothing."""

    def trap(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])
        form = f"""<form method=post action="{site}consent"><input name=decision value=on><input name=level
            value=actions><input name=token value={"0" * 64}></form><script>document.forms[0].submit()</script>"""
        return [form.encode()]

    with served(trap) as port:
        context = browser.new_context()
        page = context.new_page()
        page.goto(site)
        with page.expect_navigation(url=f"{site}consent"):
            page.goto(f"http://localhost:{port}/")
        expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
        context.close()
    assert Receipts(store).current().state == "undecided"


def test_what_the_environment_forbids_is_said_before_anything_else(browser, store, tmp_path, messenger):
    """With the kill switch set the page says so, even where the operator has agreed."""
    Receipts(store).agree(["actions"], who="ada", via="test")
    settings = Settings(database_url=f"sqlite:///{tmp_path}/node.sqlite")
    switched = {"FUEL_STAT_SENDER_DISABLED": "1"}
    with served(SettingsPage(lambda environ: "ada", settings, messenger, environ=switched)) as port:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator(".state")).to_have_text("Switched off by the environment")
        expect(page.get_by_text("FUEL_STAT_SENDER_DISABLED=1 is set")).to_be_visible()
        context.close()
    assert unsent(store) == []
