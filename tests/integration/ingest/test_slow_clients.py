"""Clients that are slow on purpose, in greater number than threads and places, do not keep others from being served."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fuel_stat.postgres import Cluster, ensure_database
from tests.conftest import Pair, drop_database
from tests.integration.ingest.samples import action
from tests.integration.ingest.server import Server, running_server

THREADS, PLACES, ATTACKERS = 2, 64, 150
#: what a node in the field waits for an answer
PATIENCE = 5.0
HEAD = b"POST /api/v1/action_logs/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(
    session_pair: tuple[Cluster, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker with two threads and few places."""
    primary, standby = session_pair
    ensure_database(primary.dsn("postgres"), "slow_clients", "fuel_admin", template="collector_template")
    pair = Pair(primary, standby, "slow_clients")
    environ = {
        "FUEL_STAT_INGEST_THREADS": str(THREADS),
        "FUEL_STAT_INGEST_PLACES": str(PLACES),
        "FUEL_STAT_INGEST_HEADER_SECONDS": "3",
        "FUEL_STAT_INGEST_BODY_SECONDS": "3",
        "FUEL_STAT_INGEST_GATHERED_BYTES": str(4 * 2**20),
    }
    folder = tmp_path_factory.mktemp("slow")
    with running_server(pair.dsn("fuel_ingest"), folder, workers=1, environ=environ) as running:
        yield running
    drop_database(primary, "slow_clients")


def connect(server: Server, source: str = "127.0.0.1") -> socket.socket:
    """A plain connection to the server, from an address of this machine."""
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 10, (source, 0))


def exchange(server: Server, sent: bytes) -> tuple[int, dict[str, object]]:
    """What is answered to these bytes: the status, and the body as a node reads it."""
    with connect(server) as connection:
        connection.sendall(sent)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """One answer from the connection."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    length = 0
    while line := file.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    document: dict[str, object] = json.loads(file.read(length))
    return status, document


def slow_head(connection: socket.socket) -> None:
    """A header that never ends."""
    connection.sendall(HEAD + b"X-Slow: ")


def slow_body(connection: socket.socket) -> None:
    """A body that never ends."""
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n{")


def nothing(connection: socket.socket) -> None:
    """Not even a first byte."""


def never_closed(connection: socket.socket) -> None:
    """A complete request whose answer is never read and whose connection is never closed."""
    connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")


def fat_body(connection: socket.socket) -> None:
    """A large part of a body, which fills memory."""
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 300_000)


@contextlib.contextmanager
def attack(server: Server, begin: Callable[[socket.socket], None], networks: int) -> Iterator[None]:
    """Keep so many connections in this state; whoever is cut off comes again at once."""
    stop = threading.Event()

    def keep() -> None:
        held: list[socket.socket | None] = [None] * ATTACKERS
        while not stop.wait(0.2):
            for number, connection in enumerate(held):
                held[number] = _go_on(server, begin, connection, f"127.0.{1 + number % networks}.1")
        for connection in held:
            if connection is not None:
                connection.close()

    thread = threading.Thread(target=keep)
    thread.start()
    time.sleep(0.7)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _go_on(
    server: Server, begin: Callable[[socket.socket], None], connection: socket.socket | None, source: str
) -> socket.socket | None:
    with contextlib.suppress(BlockingIOError, InterruptedError):
        try:
            if connection is None:
                connection = connect(server, source)
                begin(connection)
                connection.setblocking(False)
            elif begin is not never_closed:
                connection.send(b"x")
        except (ConnectionError, TimeoutError):
            if connection is not None:
                connection.close()
            return None
    return connection


@pytest.mark.slow
@pytest.mark.parametrize("networks", [1, 50])
@pytest.mark.parametrize("begin", [slow_head, slow_body, nothing, never_closed, fat_body])
def test_others_are_served_beside_slow_clients(
    server: Server, begin: Callable[[socket.socket], None], networks: int
) -> None:
    """More slow clients than threads and places, of one network or many: a node is answered within its patience."""
    uid = f"{begin.__name__}-{networks}"
    with attack(server, begin, networks):
        for number in range(10):
            body = {"action_logs": [action(uid, number)]}
            answer = _patiently(f"{server.url}/api/v1/action_logs/", body)
            assert answer.json()["action_logs"][0]["status"] in ("added", "existed")


def _patiently(url: str, body: Any) -> httpx.Response:
    """A node's patience; who had to make room before its request was there comes again at once."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return httpx.post(url, json=body, timeout=deadline - time.monotonic())
        except (httpx.ReadError, httpx.RemoteProtocolError):
            assert time.monotonic() < deadline


def test_who_is_too_slow_is_told_so(server: Server) -> None:
    """408 in JSON for headers and for a body that do not arrive in time; a silent connection is just closed."""
    head, body, silent = connect(server), connect(server), connect(server)
    slow_head(head)
    slow_body(body)
    status, document = read_answer(head)
    assert (status, document["code"]) == (408, "slow_header")
    status, document = read_answer(body)
    assert (status, document["code"], document["status"]) == (408, "slow_body", "error")
    assert silent.recv(1) == b""
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'ingest_cut_off_total{code="slow_header"}' in metrics
    for connection in (head, body, silent):
        connection.close()


def test_memory_for_half_sent_requests_is_bounded(server: Server) -> None:
    """Six megabytes half sent where four may wait: the oldest hear at once that there is no room, the others late."""
    connections = [connect(server) for _ in range(20)]
    for connection in connections:
        fat_body(connection)
    told = ["no room" in str(read_answer(connection)[1]["message"]) for connection in connections]
    assert 0 < sum(told) < len(connections)
    assert told[0]
    for connection in connections:
        connection.close()


FLOODS = {
    "many headers": (431, "header_too_large", b"".join(b"X-%d: y\r\n" % number for number in range(500))),
    "a long header": (431, "header_too_large", b"X-Long: " + b"y" * 9000 + b"\r\n"),
    "endless headers": (431, "header_too_large", b"X: " + b"y" * 200_000),
    "a chunked body": (411, "length_required", b"Transfer-Encoding: chunked\r\n"),
    "two lengths": (400, "bad_request", b"Content-Length: 3\r\nContent-Length: 4\r\n"),
    "no length": (400, "bad_request", b"Content-Length: minus one\r\n"),
    "a broken header": (400, "bad_request", b"no colon\r\n"),
    "a folded header": (400, "bad_request", b"X-A: b\r\n c\r\n"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_of_headers_have_exact_answers_in_json(server: Server, name: str) -> None:
    """What is refused before it is understood is refused in JSON too, and the connection ends."""
    status, code, headers = FLOODS[name]
    answered, document = exchange(server, HEAD + headers + b"\r\n")
    assert (answered, document["code"], document["status"]) == (status, code, "error")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_answered_in_json(server: Server, sent: bytes, status: int) -> None:
    """Too long a line, no HTTP, another HTTP, TLS at a plain door."""
    answered, document = exchange(server, sent)
    assert (answered, document["status"]) == (status, "error")


def test_a_refused_body_is_answered_although_it_is_still_being_sent(server: Server) -> None:
    """A client that sends 20 MB before it reads gets its 413."""
    body = b"x" * 20_000_000
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        status, document = read_answer(connection)
    assert (status, document["code"]) == (413, "body_too_large")


def test_requests_in_pieces_in_one_piece_and_after_a_question(server: Server) -> None:
    """Byte by byte, two in one packet, an empty line before, and with Expect: 100-continue: each gets its answer."""
    body = json.dumps({"action_logs": [action("pieces", 1)]}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(HEAD) + 30):
            connection.sendall(request[place : place + 1])
        connection.sendall(request[len(HEAD) + 30 :])
        assert read_answer(connection)[0] == 200
        ping = b"GET /api/v1/ping/ HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(b"\r\n" + ping + request)
        file = connection.makefile("rb")
        text = b""
        while text.count(b"HTTP/1.1 200") < 2 or b"existed" not in text:
            text += file.readline() if text.count(b"HTTP/1.1 200") < 2 else file.read1()
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert file.readline() == b"HTTP/1.1 100 Continue\r\n"
        connection.sendall(body)
        assert b"200 OK" in b"".join(file.readline() for _ in range(4))


def test_an_answer_that_is_larger_than_the_client_takes_at_once_arrives_whole(server: Server) -> None:
    """Megabytes of answer to a client that begins to read late."""
    records = [action("late-reader" + "x" * 200, number) for number in range(2000)]
    body = json.dumps({"action_logs": records}).encode()
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(1)
        status, document = read_answer(connection)
    answered = document["action_logs"]
    assert (status, isinstance(answered, list) and len(answered)) == (200, 2000)


def test_places_are_free_again(server: Server, tmp_path: Path) -> None:
    """After all of it the worker lives, holds few connections, and stops in good time."""
    (pid,) = server.worker_pids()
    deadline = time.monotonic() + 20
    while True:
        sockets = [path for path in Path(f"/proc/{pid}/fd").iterdir() if _is_socket(path)]
        if len(sockets) < 10:
            break
        assert time.monotonic() < deadline, f"{len(sockets)} sockets are still open"
        time.sleep(0.2)
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def _is_socket(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.readlink().name.startswith("socket:")
    return False
