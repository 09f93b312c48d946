"""The WSGI middleware: what it passes on and what it notes, without a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from nailgun_sender.observation import Request

from nailgun_sender import RecordingMiddleware, Settings


class Noting:
    """Stands where the recorder is, and keeps what it is offered."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.bugs = 0

    def offer(self, seen: Request, essential: bool = False) -> bool:
        """Keep it."""
        self.seen.append(seen)
        return True

    def error_room(self, headers: Any) -> int:
        """As the settings' default."""
        return Settings().error_bytes

    def note_bug(self) -> None:
        """Count it."""
        self.bugs += 1


def call(app: Any, recorder: Any, method: str = "PUT", **environ: Any) -> tuple[Any, list[Any]]:
    """Ask an application through the middleware -> what it returned, and what start_response was called with."""
    started: list[Any] = []

    def start_response(*args: Any) -> str:
        started.append(args)
        return "the server's write"

    given = {"REQUEST_METHOD": method, "SCRIPT_NAME": "/mount", "PATH_INFO": "/api/clusters/1/", **environ}
    return RecordingMiddleware(app, recorder)(given, start_response), started


def answering(body: Any, status: str = "200 OK") -> Any:
    """An application that answers so."""

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response(status, [("A", "b")])
        assert write == "the server's write" or (status[0] in "45" and callable(write))
        return body

    return app


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a",), [], b"bytes"])
def test_a_finished_body_comes_back_as_the_same_object(body: Any) -> None:
    """Servers look at type and length of what they get: it must be what the application returned."""
    recorder = Noting()
    returned, started = call(answering(body), recorder)
    assert returned is body
    assert started == [("200 OK", [("A", "b")])]
    assert [seen.path for seen in recorder.seen] == ["/mount/api/clusters/1/"]


def test_a_file_wrapper_comes_back_as_the_same_object() -> None:
    """A server recognises its own wrapper by class, or by its read method, and sends it by the kernel."""

    class Wrapper:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

    body = Wrapper()
    returned, _ = call(answering(body), Noting(), **{"wsgi.file_wrapper": Wrapper})
    assert returned is body


def test_a_lazy_body_is_passed_on_chunk_by_chunk_and_closed_once() -> None:
    """Nothing is read ahead; the record is made at close, with the status that start_response got late."""
    steps: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("500 Oops", [])
        try:
            for part in (b"one", b"two"):
                steps.append("made " + part.decode())
                yield part
        finally:
            steps.append("closed")

    recorder = Noting()
    returned, _ = call(app, recorder)
    assert steps == []
    assert next(returned) == b"one"
    assert steps == ["made one"]
    assert list(returned) == [b"two"]
    assert recorder.seen == []
    returned.close()
    returned.close()
    (seen,) = recorder.seen
    assert (seen.status, seen.error, steps[-1]) == ("500 Oops", b"onetwo", "closed")


@pytest.mark.parametrize("where", ["call", "iteration", "close"])
def test_an_exception_of_the_host_passes_and_is_noted(where: str) -> None:
    """The same exception object goes on, whenever it is raised, and the request is recorded once as failed."""
    raised = ValueError("the host's")

    class Body:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            if where == "iteration":
                raise raised
            raise StopIteration

        def close(self) -> None:
            if where == "close":
                raise raised

    def app(environ: Any, start_response: Any) -> Any:
        if where == "call":
            raise raised
        start_response("200 OK", [])
        return Body()

    recorder = Noting()

    def served() -> None:
        body, _ = call(app, recorder)
        list(body)
        body.close()

    with pytest.raises(ValueError, match="the host's") as caught:
        served()
    assert caught.value is raised
    assert [(seen.error_type, seen.error) for seen in recorder.seen] == [("ValueError", "the host's")]


@pytest.mark.parametrize("said", [None, "x" * 5000])
def test_an_exception_with_nothing_or_too_much_to_say_is_recorded_as_well(said: str | None) -> None:
    """One that cannot be printed keeps its type; of a long text only the beginning is taken along."""

    class OddError(Exception):
        def __str__(self) -> str:
            if said is None:
                raise RuntimeError("cannot be printed")
            return said

    def app(environ: Any, start_response: Any) -> Any:
        raise OddError

    recorder = Noting()
    with pytest.raises(OddError):
        call(app, recorder)
    (seen,) = recorder.seen
    assert (seen.error_type, seen.error, seen.cut) == ("OddError", (said or "")[:2048], said is not None)
    assert recorder.bugs == 0


def test_what_is_written_by_the_old_way_is_passed_on_and_explains_a_failure() -> None:
    """``write()`` of a failed answer gets each chunk as it came, and is noted; of a good one it is the server's own."""
    written: list[bytes] = []
    recorder = Noting()

    def start_response(*args: Any) -> Any:
        return written.append

    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response(environ["status"], [("Content-Type", "text/plain")])
        write(b"no such ")
        write(b"cluster")
        return [b"!"]

    given = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/x", "status": "404 Not Found"}
    recording = RecordingMiddleware(app, recorder)  # type: ignore[arg-type]
    assert recording(given, start_response) == [b"!"]
    assert written == [b"no such ", b"cluster"]
    recording({**given, "status": "200 OK"}, start_response)
    assert [seen.error for seen in recorder.seen] == [b"no such cluster!", None]


def test_start_response_gets_exactly_what_the_host_gave() -> None:
    """An iterator of headers arrives unread, exc_info by name too, and a wrong status is the server's to refuse."""
    got: list[tuple[Any, Any]] = []

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> str:
        if not isinstance(status, str):
            raise AssertionError("the server's own words")
        got.append((list(headers), exc_info))
        return "the server's write"

    def app(environ: Any, start_response: Any) -> Any:
        start_response(environ["status"], iter([("A", "b")]), exc_info="the host's")
        return [b""]

    recorder = Noting()
    recording = RecordingMiddleware(app, recorder)  # type: ignore[arg-type]
    recording({"REQUEST_METHOD": "PUT", "PATH_INFO": "/x", "status": "500 Bad"}, start_response)
    assert got == [([("A", "b")], "the host's")]
    with pytest.raises(AssertionError, match="the server's own words"):
        recording({"REQUEST_METHOD": "PUT", "PATH_INFO": "/x", "status": 500}, start_response)
    assert recorder.bugs == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_what_does_not_modify_is_not_touched(method: str) -> None:
    """Only POST, PUT, PATCH and DELETE are looked at: the rest get the application itself."""
    recorder = Noting()
    call(answering([b""]), recorder, method)
    assert recorder.seen == []


def test_a_failing_recorder_fails_nothing() -> None:
    """Every method of the recorder, and the actor callback, may raise: the answer is the application's."""

    class Broken(Noting):
        def offer(self, seen: Request, essential: bool = False) -> bool:
            raise RuntimeError

        def error_room(self, headers: Any) -> int:
            raise RuntimeError

    recorder = Broken()
    assert call(answering([b"x"], "400 Bad"), recorder)[0] == [b"x"]
    assert recorder.bugs == 2

    def actor(environ: Any) -> str:
        raise RuntimeError

    app = RecordingMiddleware(answering([b"y"]), recorder, actor)  # type: ignore[arg-type]
    assert app({"REQUEST_METHOD": "PUT", "PATH_INFO": "/"}, lambda *a: "the server's write") == [b"y"]
    assert recorder.bugs == 3


def test_of_a_failed_body_only_so_much_is_kept() -> None:
    """2 kB explain an error; that there was more is noted, and the body itself is whole."""
    recorder = Noting()
    body = [b"a" * 1500, b"b" * 1500, b"c"]
    assert call(answering(body, "400 Bad"), recorder)[0] is body
    (seen,) = recorder.seen
    assert (len(seen.error or b""), seen.cut) == (2048, True)
