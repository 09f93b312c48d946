"""The bounded queue and the tally."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from nailgun_sender.queue import BoundedQueue

from nailgun_sender import tally


def test_a_full_queue_refuses_at_once_and_counts() -> None:
    """What comes when it is full is refused; the end of a task finds room in the reserve."""
    queue: BoundedQueue[int] = BoundedQueue(2)
    assert [queue.offer(n) for n in range(4)] == [True, True, False, False]
    assert [queue.offer(n, essential=True) for n in range(4)] == [True, True, False, False]
    assert (queue.accepted, queue.refused, len(queue)) == (4, 4, 4)
    assert queue.take(3) == [0, 1, 0]


def test_a_waiting_taker_is_woken_by_the_first_item() -> None:
    """An item wakes the writer at once, not at the end of its pause."""
    queue: BoundedQueue[int] = BoundedQueue(2)
    woken: list[float] = []
    thread = threading.Thread(target=lambda: (queue.wait(10), woken.append(time.monotonic())))
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    queue.offer(1)
    thread.join(5)
    assert woken[0] - began < 1


def test_every_item_arrives_once_from_many_threads() -> None:
    """Eight threads offer, one takes: all arrive, in each thread's order."""
    queue: BoundedQueue[tuple[int, int]] = BoundedQueue(100_000)
    threads = [
        threading.Thread(target=lambda n=n: [queue.offer((n, i)) for i in range(2000)]) for n in range(8)
    ]
    for each in threads:
        each.start()
    taken: list[tuple[int, int]] = []
    while len(taken) < 16_000:
        taken += queue.take(100)
    assert queue.accepted == 16_000
    assert all([i for n, i in taken if n == number] == list(range(2000)) for number in range(8))


def test_the_tally_of_a_killed_process_can_be_read(tmp_path: Path) -> None:
    """A child counts and is killed: its counts are found; those of the living, and what others planted, are not."""
    mine = tally.make(str(tmp_path), "db", "mine")
    assert mine is not None
    child = os.fork()
    if not child:
        queue: BoundedQueue[int] = BoundedQueue(2)
        made = tally.make(str(tmp_path), "db", "child")
        assert made is not None
        queue.offer(1)
        queue.count_in(made.counts)
        for n in range(4):
            queue.offer(n)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    (found,) = tally.left(str(tmp_path), "db")
    assert (found.session, found.accepted, found.refused) == ("child", 2, 3)
    assert list(tally.left(str(tmp_path), "another database")) == []
    name = found.path.name.replace("child", "planted")
    (tmp_path / name).symlink_to("/dev/zero")
    (tmp_path / name.replace("planted", "short")).write_bytes(b"x")
    assert [each.session for each in tally.left(str(tmp_path), "db")] == ["child"]
    if os.geteuid() == 0:
        os.chown(found.path, 65534, 65534)
        assert list(tally.left(str(tmp_path), "db")) == []
    mine.remove()
    file = tmp_path / "a file"
    file.write_text("no folder can be made below it, whoever asks")
    assert tally.make(str(file / "below"), "db", "x") is None
