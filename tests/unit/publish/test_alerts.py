"""What a failure's document says, and how it is told when nothing is configured."""

from __future__ import annotations

import http.server
import json
import threading

from warehouse import pipeline_alerts
from warehouse.audit import AuditError

FAILURE = pipeline_alerts.Failure(
    "build_marts", "audit", "run-1", 1, AuditError("audit_failed", "A rule failed.")
)
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def test_the_document_has_code_and_sentence():
    """Machine-readable code, a sentence for people."""
    document = FAILURE.document()
    assert (document["code"], document["message"]) == ("audit_failed", "A rule failed.")
    killed = pipeline_alerts.Failure("d", "t", "r", 3, None)
    assert "without a word" in killed.sentence


def test_a_webhook_is_told_although_the_database_is_down(tmp_path, monkeypatch):
    """One way that fails stops no other."""
    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path))
    got: list[dict[str, object]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        told = pipeline_alerts.report(FAILURE, NOWHERE, {"FUEL_STAT_ALERT_WEBHOOK": url})
        server.shutdown()
    assert told == ["log", "webhook"]
    assert got[0]["code"] == "audit_failed"


def test_a_webhook_that_is_down_is_logged_and_nothing_more():
    """The callback never raises over the failure it tells of."""
    assert pipeline_alerts.report(FAILURE, NOWHERE, {"FUEL_STAT_ALERT_WEBHOOK": "http://127.0.0.1:1/"}) == [
        "log"
    ]
