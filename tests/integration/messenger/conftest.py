"""A node's database and a collector that answers from a script, over a real socket."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from nailgun_sender.clock import now
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

Respond = Callable[["Seen"], tuple[int, dict[str, str], bytes]]


class Seen:
    """A request as it came over the socket."""

    def __init__(self, path: str, headers: dict[str, str], wire: bytes) -> None:
        self.path = path
        self.headers = headers
        self.wire = wire
        self.body = gzip.decompress(wire) if headers.get("content-encoding") == "gzip" else wire

    @property
    def kind(self) -> str:
        return self.path.strip("/").split("/")[-1]

    @property
    def records(self) -> list[dict[str, Any]]:
        return json.loads(self.body)[self.kind]


class Collector:
    """Keeps every request; answers as told, by default as the contract says."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.stored: dict[tuple[str, int], int] = {}
        self.respond: Respond = self.accept
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def accept(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Store what is new and say so."""
        if seen.kind == "installation_structure":
            return 201, {}, json.dumps({"status": "ok", "exec_time": 0.1}).encode()
        id_name = "external_id" if seen.kind == "action_logs" else "id"
        answers = []
        for record in seen.records:
            key = (seen.kind, record[id_name])
            known = key in self.stored
            self.stored[key] = self.stored.get(key, 0) + (not known)
            word = "existed" if known and seen.kind == "action_logs" else "updated" if known else "added"
            answers.append({id_name: record[id_name], "status": word, "master_node_uid": "u"})
        return 200, {}, json.dumps({"status": "ok", seen.kind: answers, "exec_time": 0.1}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                collector.connections += 1
                super().setup()

            def do_POST(self) -> None:
                wire = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.path, headers, wire)
                collector.seen.append(seen)
                status, extra, body = collector.respond(seen)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A scripted collector on loopback."""
    server = Collector()
    yield server
    server.close()


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    """A node's database (SQLite)."""
    opened = Store.open(Settings(database_url=f"sqlite:///{tmp_path}/node.sqlite"))
    yield opened
    opened.close()


def add_actions(store: Store, count: int, *, ended: bool = True, age: timedelta = timedelta()) -> None:
    """Recorded actions, as the recorder leaves them."""
    moment = now() - age
    start = len_of(store)
    rows = [
        {
            "record_uuid": f"r-{start + number}",
            "action_group": "cluster_changes",
            "action_name": "deploy_changes",
            "action_type": "http_request",
            "start_timestamp": moment,
            "end_timestamp": moment if ended else None,
            "additional_info": {
                "request_data": {"http_method": "PUT"},
                "response_data": {"status": "200 OK"},
            },
            "recorded_at": moment,
        }
        for number in range(count)
    ]
    with store.write() as connection:
        connection.execute(store.tables.actions.insert(), rows)


def len_of(store: Store) -> int:
    """How many actions there are."""
    with store.read() as connection:
        return len(connection.execute(store.tables.actions.select()).all())


def unsent(store: Store) -> list[int]:
    """The ids of actions that are not marked as sent."""
    actions = store.tables.actions
    with store.read() as connection:
        query = actions.select().where(actions.c.is_sent.is_(False)).order_by(actions.c.id)
        return [row.id for row in connection.execute(query)]
