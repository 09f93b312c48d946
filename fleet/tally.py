"""The sender's tally: which keys were sent, and what the collector answered, kept across runs.

`<home>/fleet/keys.sqlite` holds one row a key, so that a key that is sent again counts once; `<home>/fleet/tally.json`
is the sum of it, replaced in one step after every run and every few seconds meanwhile. Keys are written down
before they are sent: what was on its way when the sender was killed is known as `unanswered`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuel_stat.state import write_atomically

KINDS = ("action_logs", "installation_structure", "oswl_stats")

_SCHEMA = """
create table if not exists key (
    kind text not null, uid text not null, subtype text not null, id integer not null,
    finished integer not null, digest blob not null, versions integer not null,
    answer text not null, label text not null,
    primary key (kind, uid, subtype, id)
) without rowid;
create table if not exists answer (
    kind text not null, answer text not null, count integer not null, primary key (kind, answer)
) without rowid;
create table if not exists structure (
    uid text primary key, summary text not null
) without rowid;
create table if not exists run (seed text primary key, anchor text not null) without rowid;
"""

# An answer replaces the one before only when it says at least as much: what was added once stays added.
_RANK = (
    "case {} when 'added' then 4 when 'existed' then 3 when 'failed' then 2 when 'skipped' then 1 else 0 end"
)

_SENDING = """
insert into key values (?, ?, ?, ?, ?, ?, 1, 'unanswered', ?)
on conflict (kind, uid, subtype, id) do update set
    versions = case when excluded.finished > key.finished then 1
        else key.versions + (key.digest <> excluded.digest) end,
    label = case when key.finished then key.label else excluded.label end,
    digest = excluded.digest,
    finished = max(key.finished, excluded.finished)
"""

_ANSWERED = f"""
update key set answer = ?1
where kind = ?2 and uid = ?3 and subtype = ?4 and id = ?5 and {_RANK.format("?1")} >= {_RANK.format("answer")}
"""


@dataclass(frozen=True)
class Sent:
    """A record on its way. `digest` tells versions of it apart; `label` is what truth is counted by."""

    kind: str
    uid: str
    subtype: str
    id: int
    finished: bool
    digest: bytes
    label: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What counts once."""
        return (self.kind, self.uid, self.subtype, self.id)


@dataclass(frozen=True)
class KindTally:
    """Counts of one kind.

    `sent` are distinct finished keys; `versions` the differing contents of them that were sent; `added`, `existed`,
    `failed` and `unanswered` split `sent` by the best answer that each key ever got (`existed` alone: the collector
    knew it before this tally began); `unfinished` are keys that were only ever sent unfinished. `answers` counts
    every answer to every record of every request.
    """

    sent: int = 0
    versions: int = 0
    added: int = 0
    existed: int = 0
    failed: int = 0
    unanswered: int = 0
    unfinished: int = 0
    answers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tally:
    """The sum of what was ever sent from this home folder."""

    updated_at: str
    installations: int
    kinds: dict[str, KindTally]

    def as_json(self) -> dict[str, Any]:
        """The document that `tally.json` holds."""
        return asdict(self)


class TallyStore:
    """The keys and their answers, safe for threads and for several processes."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "fleet"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(self.folder / "keys.sqlite", timeout=60, check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        # A killed sender loses nothing; only a machine that loses its power may.
        self._db.execute("pragma synchronous = off")
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> TallyStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write `tally.json` and release the file."""
        self.write()
        self._db.close()

    def anchor(self, seed: str, now: datetime) -> datetime:
        """The time at which the history of this seed ends: `now` the first time, the same ever after."""
        with self._lock, self._db:
            self._db.execute("insert or ignore into run values (?, ?)", (seed, now.isoformat()))
            (text,) = self._db.execute("select anchor from run where seed = ?", (seed,)).fetchone()
        return datetime.fromisoformat(text)

    def sending(self, records: Iterable[Sent]) -> None:
        """These records are about to be sent."""
        rows = [(*record.key, record.finished, record.digest, record.label) for record in records]
        with self._lock, self._db:
            self._db.executemany(_SENDING, rows)

    def answered(self, answers: Sequence[tuple[Sent, str]]) -> None:
        """The collector answered these records so."""
        rows = [(_stored_as(answer), *record.key) for record, answer in answers]
        with self._lock, self._db:
            self._db.executemany(_ANSWERED, rows)
            self._db.executemany(
                "insert into answer values (?, ?, 1) on conflict do update set count = count + 1",
                [(record.kind, answer) for record, answer in answers],
            )

    def structure_stored(self, uid: str, summary: dict[str, Any]) -> None:
        """The collector accepted a structure; its summary replaces the one before."""
        with self._lock, self._db:
            self._db.execute("insert or replace into structure values (?, ?)", (uid, json.dumps(summary)))

    def structures(self) -> list[dict[str, Any]]:
        """The summaries of the last accepted structure of every installation."""
        with self._lock:
            rows = self._db.execute("select summary from structure order by uid").fetchall()
        return [json.loads(text) for (text,) in rows]

    def labels(self, kind: str) -> dict[str, int]:
        """How many stored finished records of a kind there are by label."""
        query = """select label, count(*) from key
                   where kind = ? and finished and answer in ('added', 'existed') group by label"""
        with self._lock:
            return dict(self._db.execute(query, (kind,)).fetchall())

    def highest_id(self, kind: str, uid: str) -> int:
        """The highest id that was sent for a node; 0 when none was."""
        query = "select coalesce(max(id), 0) from key where kind = ? and uid = ?"
        with self._lock:
            (highest,) = self._db.execute(query, (kind, uid)).fetchone()
        return int(highest)

    def tally(self) -> Tally:
        """The sum as of now."""
        with self._lock:
            uids = self._db.execute("select count(distinct uid) from key").fetchone()[0]
            kinds = {kind: self._kind(kind) for kind in KINDS}
        return Tally(datetime.now(UTC).isoformat(timespec="seconds"), uids, kinds)

    def _kind(self, kind: str) -> KindTally:
        rows = self._db.execute(
            "select answer, finished, count(*), sum(versions) from key where kind = ? group by 1, 2", (kind,)
        ).fetchall()
        finished = {answer: (count, versions) for answer, done, count, versions in rows if done}
        answers = dict(
            self._db.execute("select answer, count from answer where kind = ?", (kind,)).fetchall()
        )
        return KindTally(
            sent=sum(count for count, _ in finished.values()),
            versions=sum(versions for _, versions in finished.values()),
            # A finished record is never rightly skipped: it stays visible as a record without an answer.
            unanswered=sum(finished.get(answer, (0, 0))[0] for answer in ("unanswered", "skipped")),
            unfinished=sum(count for _, done, count, _ in rows if not done),
            answers=dict(sorted(answers.items())),
            **{name: finished.get(name, (0, 0))[0] for name in ("added", "existed", "failed")},
        )

    def write(self) -> Tally:
        """Replace `tally.json` in one step."""
        tally = self.tally()
        write_atomically(self.folder / "tally.json", json.dumps(tally.as_json(), indent=2) + "\n")
        return tally


def _stored_as(answer: str) -> str:
    """`updated`, `created` and `ok` all say that the record's version is stored."""
    return "added" if answer in ("updated", "created", "ok") else answer
