"""Requests in the event loop: one at a time, and nobody is waited for."""

from __future__ import annotations

import threading

from ingest_api.hub import Hub, current
from tests.integration.ingest.loop import Loop


def test_others_go_on_while_one_has_stepped_aside() -> None:
    """What a thread does for one request does not hold up the next, and its outcome comes back."""
    order: list[str] = []
    second_is_done = threading.Event()

    def first(hub: Hub) -> str:
        order.append("first begins")
        outcome = hub.aside(lambda: "waited" if second_is_done.wait(5) else "was held up")
        order.append("first ends")
        return outcome

    def second(_: Hub) -> int:
        order.append("second")
        second_is_done.set()
        return 2

    with Loop() as loop:
        assert loop.run(first, second) == ["waited", 2]
    assert order == ["first begins", "second", "first ends"]


def test_an_error_in_the_thread_is_the_requests() -> None:
    """What the thread raises is raised where it was asked for."""

    def work(hub: Hub) -> None:
        hub.aside(lambda: 1 // 0)

    with Loop() as loop:
        (outcome,) = loop.run(work)
    assert isinstance(outcome, ZeroDivisionError)


def test_only_requests_have_a_hub() -> None:
    """A thread, and code outside the server, does its own waiting."""
    assert current() is None

    def work(hub: Hub) -> tuple[bool, object]:
        return current() is hub, hub.aside(current)

    with Loop() as loop:
        assert loop.run(work) == [(True, None)]


def test_what_is_due_soon_waits_for_the_end_of_the_turn() -> None:
    """It is called by the loop, not inside the request, and what it adds is for the next turn."""
    called: list[str] = []

    def ended() -> None:
        called.append("ended" if current() is None else "inside")
        if len(called) < 2:
            hub.soon(ended)

    with Loop() as loop:
        hub = loop.hub
        hub.run(lambda: hub.soon(ended))
        assert called == []
        hub.end_turn()
        assert called == ["ended"]
        assert not hub.is_idle
        hub.end_turn()
        assert called == ["ended", "ended"]
        assert hub.is_idle
