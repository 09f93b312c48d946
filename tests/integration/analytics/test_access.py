"""Pages, documentation files and sign-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import AnalyticDb
from tests.integration.analytics.server import Server, environment, fetch, in_process, running

TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def guarded(
    sample_db: AnalyticDb, pepper: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """An API with a token, with documentation folders and without a built page."""
    home = tmp_path_factory.mktemp("guarded")
    (home / "secret.txt").write_text("secret")
    for name in ("data_docs", "dbt_docs"):
        (home / name / "sub").mkdir(parents=True)
        (home / name / "index.html").write_text(f"<h1>{name}</h1>")
        (home / name / "sub" / "page.html").write_text("<p>sub</p>")
    (home / "data_docs" / "escape").symlink_to(home / "secret.txt")
    more = {"FUEL_STAT_ANALYTICS_TOKEN": TOKEN, "FUEL_STAT_ANALYTICS_PAGE": str(home / "no-page")}
    environ = environment(sample_db.dsn("fuel_analytics"), "", pepper, home, **more)
    with running(environ, home) as server:
        yield server


@pytest.fixture
def signed_in(guarded: Server) -> Iterator[httpx.Client]:
    """A client with the token."""
    with httpx.Client(base_url=guarded.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/json/summary",
        "/api/v1/csv/vm",
        "/api/v1/status",
        "/data-docs/",
        "/dbt-docs/",
        "/data-docs",
        "/api/v1/reports",
    ],
)
def test_reading_needs_the_token_where_one_is_configured(guarded: Server, path: str) -> None:
    """Without it, every door but health and the sign-in is shut."""
    refused = fetch(guarded.url + path)
    assert (refused.status_code, refused.json()["code"]) == (401, "sign_in_required")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    wrong = fetch(guarded.url + path, headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    assert (
        fetch(guarded.url + path, headers={"Cookie": "fuel_stat_session=99999999999.00"}).status_code == 401
    )


def test_health_needs_no_token(guarded: Server) -> None:
    """What watches the service needs no secret."""
    for path in ("/healthz", "/readyz", "/version", "/metrics", "/api/v1/openapi.json"):
        assert fetch(guarded.url + path).status_code == 200


def test_bearer_token_opens(signed_in: httpx.Client) -> None:
    """Programs send the token with each request."""
    assert signed_in.get("/api/v1/json/summary").status_code == 200


def test_page_exchanges_the_token_for_a_cookie_that_scripts_cannot_read(guarded: Server) -> None:
    """The cookie opens everything until it is given back; a wrong token opens nothing."""
    with httpx.Client(base_url=guarded.url) as client:
        assert client.get("/api/v1/session").json() == {"required": True}
        wrong = client.post("/api/v1/session", json={"token": "wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_token")
        right = client.post("/api/v1/session", json={"token": TOKEN})
        assert right.status_code == 204
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/v1/json/summary").status_code == 200
        assert client.get("/data-docs/").status_code == 200
        client.delete("/api/v1/session")
        assert client.get("/api/v1/json/summary").status_code == 401


def test_session_ends_after_its_time(
    sample_db: AnalyticDb, pepper: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cookie is good for its hours and not for longer."""
    more = {"FUEL_STAT_ANALYTICS_TOKEN": TOKEN, "FUEL_STAT_ANALYTICS_SESSION_HOURS": "2"}
    with in_process(environment(sample_db.dsn("fuel_analytics"), "", pepper, folder, **more)) as server:
        assert server.client.post("/api/v1/session", json={"token": TOKEN}).status_code == 204
        signed_in_at = time.time()
        monkeypatch.setattr("analytics_api.session_resource.time.time", lambda: signed_in_at + 7100)
        assert server.get("json/summary").status_code == 200
        monkeypatch.setattr("analytics_api.session_resource.time.time", lambda: signed_in_at + 7300)
        assert server.get("json/summary").status_code == 401


def test_documentation_is_served_from_its_folder(signed_in: httpx.Client) -> None:
    """Folders have their index, the address without the slash leads there, files are known again."""
    assert signed_in.get("/data-docs/").text == "<h1>data_docs</h1>"
    moved = signed_in.get("/dbt-docs")
    assert (moved.status_code, moved.headers["location"]) == (301, "/dbt-docs/")
    page = signed_in.get("/dbt-docs/sub/page.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    again = signed_in.get("/dbt-docs/sub/page.html", headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/data-docs/../secret.txt",
        "/data-docs/%2e%2e/secret.txt",
        "/data-docs/..%2fsecret.txt",
        "/data-docs/escape",
        "/data-docs//etc/passwd",
        "/data-docs/%00",
        "/data-docs/sub",
        "/data-docs/%ff",
    ],
)
def test_nothing_outside_the_folder_can_be_reached(guarded: Server, path: str) -> None:
    """Neither dots nor links nor absolute paths lead out; folders are not listed."""
    host, port = guarded.url.removeprefix("http://").split(":")
    import http.client

    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 404
    assert b"secret" not in body
    assert b"root:" not in body


def test_page_that_is_not_built_says_how_to_build_it(guarded: Server) -> None:
    """A short page names the command; everything else below it is 404 as JSON."""
    page = fetch(guarded.url + "/")
    assert page.status_code == 200
    assert "make ui" in page.text
    missing = fetch(guarded.url + "/assets/none.js")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_page")


def test_metrics_add_up_over_workers(api: Server) -> None:
    """Requests are counted by route template and status, whichever process answered."""
    before = counted(api)
    for _ in range(20):
        api.get("json/summary")
    assert counted(api) == before + 20


def counted(server: Server) -> float:
    """How many summaries were answered."""
    label = (
        'fuel_stat_analytics_request_seconds_count{method="GET",route="/api/v1/json/summary",status="200"}'
    )
    lines = fetch(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(label))
