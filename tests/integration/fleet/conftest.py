"""A stand-in collector: answers as the contract says, remembers everything, and fails on demand."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class StandIn:
    """What the stand-in received, and the faults it is to play next (one a request)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.stored: dict[str, dict[tuple[Any, ...], Any]] = {"action_logs": {}, "oswl_stats": {}}
        self.structures: dict[str, list[Any]] = {}
        self.faults: list[str] = []
        self.connections = 0
        self.url = ""

    def answer(self, path: str, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "installation_structure" in path:
            structure = document["installation_structure"]
            if not isinstance(structure["clusters_num"], int):
                return 400, {"status": "error", "message": "clusters_num is not an integer"}
            versions = self.structures.setdefault(structure["master_node_uid"], [])
            versions.append(structure)
            return (201 if len(versions) == 1 else 200), {"status": "ok", "exec_time": 0.0}
        kind = "action_logs" if "action_logs" in path else "oswl_stats"
        entries = [self._record(kind, record) for record in document[kind]]
        if entries and all(entry["status"] == "failed" for entry in entries):
            return 400, {"status": "error", "message": "no good record"}
        return 200, {"status": "ok", kind: entries, "exec_time": 0.0}

    def _record(self, kind: str, record: dict[str, Any]) -> dict[str, Any]:
        if kind == "oswl_stats":
            key: tuple[Any, ...] = (record["master_node_uid"], record["id"], record["resource_type"])
            status = "updated" if key in self.stored[kind] else "added"
            self.stored[kind][key] = record
            return {"master_node_uid": key[0], "id": record["id"], "status": status}
        key = (record["master_node_uid"], record["external_id"])
        body = record["body"]
        if "action_type" not in body:
            status = "failed"
        elif body["action_type"] == "nailgun_task" and not body.get("end_timestamp"):
            status = "skipped"
        else:
            status = "existed" if key in self.stored[kind] else "added"
            self.stored[kind].setdefault(key, record)
        return {"master_node_uid": key[0], "external_id": key[1], "status": status}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A stand-in collector on a free loopback port; keep-alive, one thread a connection."""
    state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with state.lock:
                state.connections += 1

        def do_GET(self) -> None:
            self._send(200, {"status": "ok", "exec_time": 0.0})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with state.lock:
                state.requests.append((self.path, dict(self.headers.items()), body))
                fault = state.faults.pop(0) if state.faults else None
                if fault != "429":
                    status, document = state.answer(self.path, json.loads(body))
            if fault == "429":
                self._send(429, {"status": "error", "message": "slow down"}, {"Retry-After": "0"})
            elif fault == "cut":  # stored, but the answer is lost
                self.close_connection = True
            elif fault == "html":
                self._raw(502, b"<html>Bad gateway</html>", {})
            else:
                self._send(status, document)

        def _send(self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> None:
            self._raw(status, json.dumps(document).encode(), headers or {})

        def _raw(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence: the tests look at `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
