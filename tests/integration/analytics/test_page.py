"""The page in a real, headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import AnalyticDb
from tests.integration.analytics import publishing
from tests.integration.analytics.server import REPOSITORY, Server, environment, running

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
CHARTS = ("releases", "environments-num", "nodes-num", "statuses", "hypervisors", "oses")


def chromium() -> str:
    """The browser: CHROMIUM, or the first on the PATH."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium: set CHROMIUM, or run scripts/browser")
    return found


@pytest.fixture(scope="session")
def built_page() -> Path:
    """The page, built from the sources unless what is built is newer than they are."""
    ui = REPOSITORY / "analytics_ui"
    index = ui / "dist" / "index.html"
    sources = [*ui.glob("src/*"), *ui.glob("public/*"), ui / "index.html", ui / "package-lock.json"]
    if not index.exists() or index.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        if shutil.which("make") is None:
            pytest.skip("the page is not built and there is no make to build it")
        subprocess.run(["make", "ui"], cwd=REPOSITORY, check=True)
    return index.parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of this module (a process can drive one at a time); each takes a context of its own."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield launched
        launched.close()


class Watched:
    """A page with what it asked for and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture
def watched(browser: Browser, built_page: Path) -> Iterator[Watched]:
    """A fresh page of desktop size."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield Watched(context.new_page())
    context.close()


def opened(watched: Watched, server: Server, path: str = "/") -> Page:
    """The page, loaded with its charts."""
    watched.page.goto(server.url + path)
    watched.page.wait_for_selector("#oses canvas")
    return watched.page


def total(page: Page, name: str) -> int:
    """One of the totals."""
    return int(page.locator(f"#total-{name}").get_attribute("data-value") or "-1")


def as_table(page: Page, card: str) -> dict[str, int]:
    """A card's table: label to count."""
    page.locator(f"#{card} .toggle").click()
    rows = page.locator(f"#{card} tbody tr")
    found = {
        row.locator("th").inner_text(): int(row.locator("td").first.inner_text().replace(",", ""))
        for row in rows.all()
    }
    page.locator(f"#{card} .toggle").click()
    return found


def test_page_shows_the_numbers_of_the_api(watched: Watched, api: Server) -> None:
    """Totals and all six charts equal the API; nothing leaves loopback; the console stays silent."""
    page = opened(watched, api)
    report = api.get("json/report/installations").json()
    summary = api.get("json/summary").json()
    environments = report["environments"]
    assert total(page, "installations") == report["installations"]["count"]
    assert total(page, "environments") == environments["count"]
    assert total(page, "operable") == environments["operable_envs_count"]
    assert total(page, "actions") == summary["action_logs"]["total"]
    assert total(page, "workloads") == summary["oswl_stats"]["total"]
    assert as_table(page, "releases") == {"9.0": 2, "10.0": 1}
    assert as_table(page, "environments-num") == report["installations"]["environments_num"]
    assert as_table(page, "nodes-num") == environments["nodes_num"]
    assert as_table(page, "statuses") == environments["statuses"]
    assert as_table(page, "hypervisors") == {"KVM": 1, "QEMU": 1}
    assert as_table(page, "oses") == {"Ubuntu": 2}
    assert all(url.startswith((api.url + "/", "data:")) for url in watched.requests), watched.requests
    assert watched.complaints == []


def test_charts_are_drawn_and_told(watched: Watched, api: Server) -> None:
    """Each canvas has ink on it and a sentence for those who cannot see it."""
    page = opened(watched, api)
    page.wait_for_timeout(500)
    for card in CHARTS:
        canvas = page.locator(f"#{card} canvas")
        inked = canvas.evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0)"
        )
        assert inked, card
        assert canvas.get_attribute("role") == "img"
        assert re.search(r": \d", canvas.get_attribute("aria-label") or "")


VIEWS = {
    "growth": ("installations-daily", "nodes-daily", "activity-weekly", "lost-weekly", "retention", "upgrades"),
    "deployments": (
        "attempts", "failure-rate", "failures-before", "duration-median", "duration-p95", "verifications",
    ),
    "environments": ("storage", "projects", "plugins", "segmentation", "network-options", "openstack"),
    "nodes": ("roles", "role-combinations", "vendors", "machines", "node-oses", "node-status"),
    "workloads": (
        "workload-machines", "workload-kinds", "workload-environments",
        "workload-added", "workload-modified", "workload-removed",
    ),
}  # fmt: skip


def cells(page: Page, card: str) -> list[list[str]]:
    """All rows of a card's table, as texts."""
    page.locator(f"#{card} .toggle").click()
    rows = page.locator(f"#{card} tbody tr")
    found = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    page.locator(f"#{card} .toggle").click()
    return found


def test_every_view_is_reached_and_says_where_its_numbers_are_defined(watched: Watched, api: Server) -> None:
    """Each view has its figures, can be linked to, and every figure names the model behind it."""
    page = opened(watched, api)
    for view, figures in VIEWS.items():
        page.locator(f"#view-{view}").click()
        expect(page.locator(f"#{figures[-1]}")).to_be_visible()
        assert [card.get_attribute("id") for card in page.locator(".card").all()] == list(figures)
        for card in figures:
            link = page.locator(f"#{card} .definition").get_attribute("href") or ""
            assert re.fullmatch(r"/dbt-docs/#!/model/model\.fuel_stat\.rpt_\w+", link), card
        assert page.locator(f"#view-{view}").get_attribute("aria-current") == "page"
        assert f"view={view}" in page.url
    page.reload()
    expect(page.locator("#workload-added")).to_be_visible()
    assert watched.complaints == []


def test_views_show_the_reports_of_the_api(watched: Watched, api: Server) -> None:
    """Deployments, options, roles, retention and workloads on the page equal the API's tables."""
    page = watched.page
    page.goto(f"{api.url}/?view=deployments")
    page.wait_for_selector("#attempts canvas")
    assert cells(page, "attempts") == [["1-3", "1", "1"]]
    assert cells(page, "failure-rate") == [["1-3", "0 %", "100 %"]]
    assert cells(page, "duration-median") == [["1-3", "5 min", "5 min"]]
    page.locator("#view-environments").click()
    page.wait_for_selector("#plugins canvas")
    environments = api.get("json/report/environments").json()["rows"]
    plugins: dict[str, int] = {}
    for row in environments:
        if row["dimension"] == "plugin":
            plugins[row["item"]] = plugins.get(row["item"], 0) + row["environments"]
    assert plugins
    assert as_table(page, "plugins") == plugins
    page.locator("#view-growth").click()
    page.wait_for_selector("#retention table")
    assert page.locator("#retention tbody tr").first.locator("td").nth(1).inner_text() == "100 %"
    page.locator("#view-workloads").click()
    page.wait_for_selector("#workload-machines canvas")
    days = api.get("json/report/workloads").json()["rows"]
    expected = {row["stats_on_date"]: row["resources"] for row in days if row["resource_type"] == "vm"}
    assert {line[0]: int(line[1]) for line in cells(page, "workload-machines")} == expected


def test_view_is_counted_for_the_chosen_release(watched: Watched, api: Server) -> None:
    """The release filter holds for the views whose reports are counted by releases."""
    page = watched.page
    page.goto(f"{api.url}/?view=environments&release=10.0")
    page.wait_for_selector("#openstack canvas")
    rows = api.get("json/report/environments", params={"release": "10.0"}).json()["rows"]
    versions = {row["item"]: row["environments"] for row in rows if row["dimension"] == "openstack_release"}
    assert as_table(page, "openstack") == versions
    page.locator("#release").select_option("")
    expect(page.locator("#total-installations")).to_have_text("3")
    page.wait_for_timeout(200)
    assert sum(as_table(page, "openstack").values()) > sum(versions.values())


def test_release_filter_changes_all_numbers(watched: Watched, api: Server) -> None:
    """Choosing a release shows the API's numbers of that release and can be linked to."""
    page = opened(watched, api)
    page.locator("#release").select_option("10.0")
    expect(page.locator("#total-installations")).to_have_text("1")
    report = api.get("json/report/installations", params={"release": "10.0"}).json()
    assert as_table(page, "statuses") == report["environments"]["statuses"]
    assert "release=10.0" in page.url
    page.reload()
    expect(page.locator("#total-installations")).to_have_text("1")
    assert page.locator("#release").input_value() == "10.0"
    assert watched.complaints == []


def test_page_works_by_keyboard(watched: Watched, api: Server) -> None:
    """The first stop skips to the charts; filter, downloads and tables are reached and worked by keys."""
    page = opened(watched, api)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "release"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#downloads")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#downloads")).to_be_hidden()
    page.locator("#statuses .toggle").focus()
    page.keyboard.press("Space")
    expect(page.locator("#statuses table")).to_be_visible()
    assert page.locator("#statuses .toggle").get_attribute("aria-pressed") == "true"


def test_downloads_are_offered_for_a_period(watched: Watched, api: Server) -> None:
    """Each export is a link for the chosen days, and it works."""
    page = opened(watched, api)
    page.locator("#downloads-open").click()
    page.locator("#from").fill("2026-03-01")
    page.locator("#to").fill("2026-03-31")
    with page.expect_download() as download:
        page.get_by_role("link", name="vm.csv").click()
    assert download.value.suggested_filename == "vm.csv"
    saved = Path(download.value.path()).read_bytes()
    assert saved == api.get("csv/vm", params={"from_date": "2026-03-01", "to_date": "2026-03-31"}).content
    with page.expect_download() as download:
        page.get_by_role("link", name="deployments.csv").click()
    assert Path(download.value.path()).read_bytes() == api.get("csv/report/deployments").content
    # The list is the API's own.
    offered = [link.inner_text().removesuffix(".csv") for link in page.locator("#report-files a").all()]
    assert offered == [report["name"] for report in api.get("json/report").json()["reports"]]
    page.locator("#to").fill("2026-02-01")
    page.locator("#to").dispatch_event("change")
    expect(page.locator("#downloads-note")).to_contain_text("must not be after")


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_page_fits_its_screen(browser: Browser, built_page: Path, api: Server, width: int) -> None:
    """Nothing overflows sideways; on a desktop all six charts are in one screen."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = opened(Watched(context.new_page()), api)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1440:
        assert page.evaluate("document.documentElement.scrollHeight") <= 900
        boxes = [page.locator(f"#{card}").bounding_box() for card in CHARTS]
        assert all(box and box["y"] + box["height"] <= 900 and box["height"] > 200 for box in boxes)
    for view in VIEWS:
        page.locator(f"#view-{view}").click()
        page.wait_for_selector(f"#{VIEWS[view][0]}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
    context.close()


def test_colours_follow_the_system_and_the_readers_choice(
    browser: Browser, built_page: Path, api: Server
) -> None:
    """Dark where the system is dark; the button overrides it and is remembered."""
    context = browser.new_context(color_scheme="dark")
    page = opened(Watched(context.new_page()), api)
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.locator("#theme").click()
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"
    context.close()


def test_banner_tells_why_the_last_audit_failed(
    watched: Watched, own_sample_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """The page keeps the published numbers and shows the reason; texts of the database are never markup."""
    dsn = own_sample_db.dsn("fuel_warehouse")
    publishing.refuse_build(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("update ops.audit_result set detail = '<img src=x> twice' where not succeeded")
    with running(environment(own_sample_db.dsn("fuel_analytics"), "", pepper, folder), folder) as server:
        page = opened(watched, server)
        banner = page.locator("#banner")
        expect(banner).to_contain_text("The last audit failed.")
        expect(banner).to_contain_text("keys_are_unique on fct_action: <img src=x> twice")
        assert banner.get_attribute("role") == "alert"
        assert total(page, "installations") == 3
        expect(page.locator("#status")).to_contain_text("Version 1")


def test_status_line_names_version_and_freshness(watched: Watched, api: Server) -> None:
    """Version, publication time, age of the newest report and the audit's outcome are in the foot."""
    page = opened(watched, api)
    line = page.locator("#status")
    expect(line).to_contain_text(
        re.compile(r"Version 1 · published .* UTC · newest report \d+ \w+ old · all 2 checks passed")
    )


def test_page_before_the_first_publication(
    watched: Watched, analytic_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """An empty database is explained, not an error."""
    with running(environment(analytic_db.dsn("fuel_analytics"), "", pepper, folder), folder) as server:
        watched.page.goto(server.url)
        expect(watched.page.locator("#banner")).to_contain_text("Nothing is published yet.")
        assert watched.complaints == []


def test_page_asks_for_the_token(
    watched: Watched, sample_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """Where a token is configured the page asks for it, says when it is wrong, and goes on when it is right."""
    more = {"FUEL_STAT_ANALYTICS_TOKEN": "open sesame"}
    with running(environment(sample_db.dsn("fuel_analytics"), "", pepper, folder, **more), folder) as server:
        page = watched.page
        page.goto(server.url)
        expect(page.locator("#sign-in")).to_be_visible()
        page.locator("#token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#sign-in-error")).to_contain_text("not the access token")
        page.locator("#token").fill("open sesame")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector("#oses canvas")
        assert total(page, "installations") == 3
