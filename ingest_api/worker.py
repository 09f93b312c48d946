"""gunicorn's threaded worker, changed so that a thread never waits for a client.

The original gives a thread to each connection from its first moment: as many clients as there are threads, each
sending a byte now and then, hold the whole service. Here the event loop gathers each request, a thread works on
complete ones only, and the loop hands the answer on as fast as the client takes it. Who is too slow is cut off; when
all places are taken, the connection that has waited longest makes room. Every answer is JSON, because a node gives up
its cycle over anything else.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import time
from functools import partial
from typing import Any, ClassVar

from gunicorn import sock as gunicorn_sock
from gunicorn.workers.gthread import ThreadWorker

from fuel_stat.errors import OperatorError
from fuel_stat.log import get
from fuel_stat.settings import from_env
from ingest_api.connection import Connection, Phase
from ingest_api.gathering import Bounds, HeadRefusedError
from ingest_api.hub import Hub
from ingest_api.listeners import Listener
from ingest_api.places import Places, network_of
from ingest_api.refusals import late, meaning, refusal
from ingest_api.serving import Serving
from ingest_api.settings import Settings

log = get(__name__)

_LOOK_SECONDS = 0.25
_LINGER_SECONDS = 2.0
_STOPPING_SECONDS = 5.0
_ACCEPTS_AT_ONCE = 16
#: longer requests are worked on in a thread, so that nobody waits long for the loop
_MOST_IN_LOOP = 131_072


class Worker(ThreadWorker):  # type: ignore[misc]
    """See the module. Options as gunicorn's gthread; ``worker_connections`` is the number of places."""

    #: made by the master, so that all workers have the same one; None without a certificate
    tls: ClassVar[ssl.SSLContext | None] = None
    #: what is listened on; the application finds it in the environment as ``fuel_stat.listeners``
    listeners: ClassVar[tuple[Listener, ...]] = ()
    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = from_env(Settings, os.environ)
        head = self.cfg.limit_request_line + settings.max_header_bytes
        self._bounds = Bounds(head, settings.max_body_bytes)
        self._seconds = {
            Phase.IDLE: float(self.cfg.keepalive),
            Phase.HEAD: settings.header_seconds,
            Phase.BODY: settings.body_seconds,
            Phase.WRITING: settings.body_seconds,
            Phase.LINGERING: _LINGER_SECONDS,
        }
        self._most_gathered = settings.gathered_bytes
        self._plain = {(one.host, one.port) for one in self.listeners if not one.tls}
        self._waiting = Places(self.worker_connections)
        self._serving = Serving(self.cfg, {"wsgi.multithread": True, "fuel_stat.listeners": self.listeners})
        self._hub: Hub
        self._next_look = 0.0

    @classmethod
    def load_certificate(cls, configuration: Any) -> None:
        """Read certificate and key, where gunicorn's settings name them. Called in the master, at start and on HUP.

        Raises:
            OperatorError: ``bad_certificate``; the one that was read before stays.
        """
        if not configuration.is_ssl:
            cls.tls = None
            return
        try:
            cls.tls = gunicorn_sock.ssl_context(configuration)
        except (OSError, ValueError) as error:
            sentence = f"{configuration.certfile} and {configuration.keyfile} cannot be used: {error}."
            raise OperatorError("bad_certificate", sentence) from error

    # The event loop.

    def run(self) -> None:
        """Serve until told to stop, then finish what is under way."""
        queue = self.method_queue
        self._hub = Hub(self.poller, self.tpool, queue.defer)
        self.poller.register(queue.fileno(), selectors.EVENT_READ, queue.run_callbacks)
        self.set_accept_enabled(True)
        while self.alive and self.is_parent_alive():
            self._turn()
        self.set_accept_enabled(False)
        now = time.monotonic()
        for connection in self._waiting:
            seconds = _LINGER_SECONDS if connection.phase is Phase.IDLE else _STOPPING_SECONDS
            connection.deadline = min(connection.deadline, now + seconds)
        while self.nr_conns > 0 and time.monotonic() < now + self.cfg.graceful_timeout:
            self._turn()
        self.tpool.shutdown(wait=False)
        for listener in self.sockets:
            listener.close()

    def _turn(self) -> None:
        self.wait_for_and_dispatch_events(_LOOK_SECONDS if self._hub.is_idle else 0)
        self._hub.end_turn()
        now = time.monotonic()
        if now >= self._next_look:
            self.notify()
            self._next_look = now + _LOOK_SECONDS
            self._cut_thelate(now)
            self._cut_the_many()

    def accept(self, listener: Any) -> None:
        """Take what knocks, a few at once."""
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                client_socket, client = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                self._make_room("")
                return
            if self.nr_conns >= self.worker_connections:
                self._make_room(network_of(client))
            self._welcome(client_socket, client, listener.getsockname())

    def _welcome(self, client_socket: socket.socket, client: Any, server: Any) -> None:
        tls = None if server[:2] in self._plain else self.tls
        try:
            connection = Connection(client_socket, client, server, network_of(client), self._bounds, tls)
        except OSError:
            # It went away between the knock and the door.
            client_socket.close()
            return
        self.nr_conns += 1
        self._wait(connection, Phase.HEAD, selectors.EVENT_READ)

    def _wait(self, connection: Connection, phase: Phase, event: int) -> None:
        connection.deadline = time.monotonic() + self._seconds[phase]
        if not self.alive:
            connection.deadline = min(connection.deadline, time.monotonic() + _LINGER_SECONDS)
        connection.phase = phase
        self._waiting.put(connection)
        self._watch(connection, event)

    def _watch(self, connection: Connection, event: int) -> None:
        """Have the loop told of this event alone; 0: of none."""
        if connection.watched == event:
            return
        if not event:
            self.poller.unregister(connection.socket)
        elif connection.watched:
            self.poller.modify(connection.socket, event, partial(self._ready, connection))
        else:
            self.poller.register(connection.socket, event, partial(self._ready, connection))
        connection.watched = event

    def _leave(self, connection: Connection) -> None:
        # It stays watched: most requests are answered before their client sends another.
        if connection in self._waiting:
            self._waiting.remove(connection)

    def _close(self, connection: Connection) -> None:
        if connection.phase is Phase.CLOSED:
            return
        self._leave(connection)
        self._watch(connection, 0)
        self.nr_conns -= 1
        connection.close()

    def _ready(self, connection: Connection, _: Any = None) -> None:
        """The client has sent something, or takes more."""
        try:
            if connection.phase is Phase.WRITING:
                if connection.sock.flush():
                    self._leave(connection)
                    self._after(connection)
            elif connection.phase is Phase.LINGERING:
                self._throw_away(connection)
            elif connection.phase is Phase.WORKING:
                # One request after the other: it is read when this one is answered.
                self._watch(connection, 0)
            elif connection.phase is not Phase.CLOSED:
                self._gather(connection)
        except HeadRefusedError as error:
            self._refuse(connection, error)
        except OSError:
            # Gone, or not speaking TLS: there is nobody to answer.
            self._close(connection)

    def _throw_away(self, connection: Connection) -> None:
        """Let a client finish sending what was refused: before that it does not read the answer."""
        if not connection.throw_away():
            self._close(connection)
            return
        last = connection.answered + self._seconds[Phase.BODY]
        connection.deadline = min(last, time.monotonic() + _LINGER_SECONDS)

    def _gather(self, connection: Connection) -> None:
        if not connection.receive():
            self._close(connection)
        elif connection.request.complete:
            self._leave(connection)
            connection.phase = Phase.WORKING
            if (connection.request.length or 0) <= _MOST_IN_LOOP:
                self._hub.run(partial(self._serve, connection))
            else:
                self.enqueue_req(connection)
        elif connection.request.length is not None:
            self._enter(connection, Phase.BODY)
        elif connection.request.data:
            self._enter(connection, Phase.HEAD)

    def _enter(self, connection: Connection, phase: Phase) -> None:
        """A further part of a request has begun; its time runs from now."""
        if connection.phase is not phase:
            connection.phase = phase
            self._waiting.put(connection)
            connection.deadline = time.monotonic() + self._seconds[phase]

    def _serve(self, connection: Connection) -> None:
        """A request in the loop."""
        try:
            connection.keep = self.handle(connection)
        except OSError:
            # The client is gone before its answer.
            connection.keep = False
        self._hub.soon(partial(self._after, connection))

    def finish_request(self, connection: Connection, future: Any) -> None:
        """A thread is done (called by the event loop)."""
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, OSError):
            log.error("unexpected", exc_info=error)
        connection.keep = error is None and not future.cancelled() and future.result()
        self._after(connection)

    def _after(self, connection: Connection) -> None:
        if connection.sock.left:
            self._wait(connection, Phase.WRITING, selectors.EVENT_WRITE)
        elif connection.keep:
            self._wait(connection, Phase.IDLE, selectors.EVENT_READ)
            # What came meanwhile may already have been read.
            if connection.request.data or isinstance(connection.socket, ssl.SSLSocket):
                self._ready(connection)
        else:
            connection.end_writing()
            connection.answered = time.monotonic()
            self._wait(connection, Phase.LINGERING, selectors.EVENT_READ)

    # Who is cut off.

    def _cut_thelate(self, now: float) -> None:
        for connection in [waiting for waiting in self._waiting if waiting.deadline <= now]:
            if connection.phase is Phase.HEAD and connection.request.data:
                self._refuse(connection, late("slow_header", "headers", self._seconds[Phase.HEAD]))
            elif connection.phase is Phase.BODY:
                self._refuse(connection, late("slow_body", "body", self._seconds[Phase.BODY]))
            else:
                self._close(connection)

    def _cut_the_many(self) -> None:
        """The memory of half-sent requests is bounded: those that have waited longest go."""
        total = sum(len(connection.request.data) for connection in self._waiting)
        for connection in self._waiting:
            if total <= self._most_gathered:
                return
            if connection.request.data:
                total -= len(connection.request.data)
                self._refuse(connection, HeadRefusedError(408, "slow_body", "There is no room to wait."))

    def _make_room(self, network: str) -> None:
        victim = self._waiting.victim(network)
        if victim is not None:
            self._close(victim)

    def _refuse(self, connection: Connection, error: HeadRefusedError) -> None:
        self._leave(connection)
        connection.request.data.clear()
        self._write_refusal(connection.sock, error.status, error.code, error.sentence)
        connection.keep = False
        try:
            connection.sock.flush()
        except OSError:
            self._close(connection)
            return
        self._after(connection)

    # In a request, whether it runs in the loop or in a thread.

    def handle(self, connection: Connection) -> bool:
        """Answer a complete request; whether the connection may be used again."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.alive = False
        try:
            keep = self._serving.serve(connection, self.wsgi, lambda: not self.alive)
        except Exception as error:
            self.handle_error(None, connection.sock, connection.client, error)
            keep = False
        connection.sock.flush()
        return keep

    def handle_error(self, request: Any, client: Any, address: Any, error: BaseException) -> None:
        """Answer what the parser refused, or what broke, in JSON."""
        status, code, sentence = meaning(error)
        if status >= 500 and status != 501:
            log.error("unexpected", exc_info=error)
        client.left.clear()
        self._write_refusal(client, status, code, sentence)

    def _write_refusal(self, client: Any, status: int, code: str, sentence: str) -> None:
        client.sendall(refusal(status, code, sentence))
        # The application counts and logs what it answers; this it never saw. Another application may not ask.
        refused = getattr(self.wsgi, "refused", None)
        if refused is not None:
            refused(status, code)
