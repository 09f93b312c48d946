"""Made-up histories of a few installations, with everything that goes wrong: late data, clocks that are off,
duplicates, corrections, gaps, lost rows. Seeded: the same seed makes the same history."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
STATUSES = ("new", "operational", "error", "deployment")
KINDS = ("vm", "volume", "flavor")


@dataclass
class History:
    """What happens to a handful of installations, a load at a time."""

    seed: int
    installations: int = 6
    loads: int = 0
    keys: list[UUID] = field(default_factory=list)
    random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.keys = [self.fresh_key() for _ in range(self.installations)]

    def fresh_key(self) -> UUID:
        """A seeded uuid."""
        return UUID(int=self.random.getrandbits(128))

    def load(self, connection: psycopg.Connection[Any], *, is_new_only: bool = True) -> int:
        """One load: a week of what some installations sent, old news among it. Pins it as new."""
        self.loads += 1
        connection.execute(
            "insert into ops.load (load_id, reason) overriding system value values (%s, 'history')",
            (self.loads,),
        )
        if is_new_only:
            connection.execute("update ops.pinned_load set is_new = false")
            connection.execute("delete from ops.touched_installation")
        connection.execute("insert into ops.pinned_load values (%s, true, 0)", (self.loads,))
        week = START + timedelta(days=7 * self.loads)
        for key in self.random.sample(self.keys, k=max(2, len(self.keys) - 2)):
            self.contacts(connection, key, week)
            self.many(self.action, 25, connection, key, week)
            self.many(self.structure, 3, connection, key, week)
            self.many(self.workload, 8, connection, key, week)
        return self.loads

    def many(self, make: Callable[..., None], most: int, *arguments: Any) -> None:
        """Call up to ``most`` times."""
        for _ in range(self.random.randint(0, most)):
            make(*arguments)

    def moment(self, week: datetime) -> datetime:
        """A receive time: mostly of this week, now and then of one that was loaded long ago."""
        late = self.random.random() < 0.15
        return week - timedelta(days=self.random.uniform(0, 30) if late else self.random.uniform(0, 7))

    def said(self, received: datetime) -> str:
        """What the node's clock makes of a moment shortly before the receive time."""
        skews = ([0] * 12, [400, -400, 2, -3, 30])
        days = self.random.choice(skews[self.random.random() < 0.2])
        moment = received - timedelta(minutes=self.random.uniform(1, 300)) + timedelta(days=days)
        if self.random.random() < 0.03:
            return "yesterday"
        return moment.strftime(self.random.choice(("%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")))

    def put(
        self, connection: psycopg.Connection[Any], kind: str, key: UUID, received: datetime, record: Any
    ) -> None:
        """Land one record."""
        connection.execute(
            f"insert into raw.{kind} values (%s, 0, %s, %s, %s, 0, %s)",
            (self.fresh_key(), self.loads, key, received, json.dumps(record)),
        )

    def contacts(self, connection: psycopg.Connection[Any], key: UUID, week: datetime) -> None:
        """Heard from on some days of the week, with gaps, and rarely on one long past."""
        for back in (0, 1, 2, 4, 6, 20):
            if self.random.random() < 0.4:
                day = week - timedelta(days=back)
                connection.execute(
                    "insert into raw.contact values (%s, %s, 0, %s, %s) on conflict do nothing",
                    (key, day.date(), day, self.loads),
                )

    def action(self, connection: psycopg.Connection[Any], key: UUID, week: datetime) -> None:
        """An action; its id may be one that was landed before, with another content."""
        received = self.moment(week)
        is_task = self.random.random() < 0.5
        body: dict[str, Any] = {
            "action_group": "cluster_changes",
            "action_name": self.random.choice(("deploy", "verify_networks", "provision")),
            "action_type": "nailgun_task" if is_task else "http_request",
            "start_timestamp": self.said(received),
            "end_timestamp": self.said(received),
            "cluster_id": self.random.choice((1, 2, 3, None)),
            "additional_info": (
                {"ended_with_status": self.random.choice(("ready", "error")), "parent_task_id": None}
                if is_task
                else {"response_data": {"status": self.random.choice(("200 OK", "400 Bad Request"))}}
            ),
        }
        self.put(
            connection,
            "action_logs",
            key,
            received,
            {"external_id": self.random.randint(1, 150), "body": body},
        )

    def structure(self, connection: psycopg.Connection[Any], key: UUID, week: datetime) -> None:
        """A structure whose environments come, change and go."""
        clusters = [
            {
                "id": number,
                "status": self.random.choice(STATUSES),
                "nodes_num": self.random.randint(0, 4),
                "mode": "ha_compact",
                "release": {"os": "Ubuntu", "version": "2015.1.0-7.0", "name": "Kilo"},
                "attributes": {"libvirt_type": "kvm", "sahara": self.random.random() < 0.5},
                "nodes": [
                    {"id": node, "roles": self.random.sample(["controller", "compute", "cinder"], k=2)}
                    for node in range(self.random.randint(0, 3))
                ],
                "installed_plugins": [{"name": "lma", "version": self.random.choice(("1.0", "2.0"))}],
            }
            for number in self.random.sample((1, 2, 3), k=self.random.randint(0, 3))
        ]
        record = {
            "fuel_release": {"release": self.random.choice(("7.0", "8.0"))},
            "clusters_num": len(clusters),
            "clusters": self.random.choice((clusters, clusters, clusters, None)),
        }
        self.put(connection, "installation_structure", key, self.moment(week), record)

    def workload(self, connection: psycopg.Connection[Any], key: UUID, week: datetime) -> None:
        """A version of a day's record: the id names the cluster, type and day; updates may arrive out of order."""
        received = self.moment(week)
        day = (received - timedelta(days=self.random.choice((0, 0, 0, 1, 9)))).date()
        cluster, kind = self.random.randint(1, 2), self.random.choice(KINDS)
        number = (day - START.date()).days * 10 + cluster * 3 + KINDS.index(kind)
        ids = self.random.sample(range(6), k=self.random.randint(0, 4))
        changed = [{"id": item, "time": "10:00:00"} for item in self.random.sample(range(6), k=2)]
        record = {
            "id": number,
            "cluster_id": cluster,
            "created_date": day.isoformat(),
            "updated_time": f"{self.random.randint(0, 23):02}:00:00.5",
            "resource_type": kind,
            "resource_checksum": str(sorted(ids)),
            "resource_data": {
                "current": [{"id": item, "status": "x"} for item in ids],
                "added": changed,
                "modified": [],
                "removed": [{**item, "status": "y"} for item in changed],
            },
        }
        self.put(connection, "oswl_stats", key, received, record)

    def erase(self, connection: psycopg.Connection[Any]) -> UUID:
        """Forget an installation: every raw row of it goes, outside any load."""
        key = self.keys.pop(self.random.randrange(len(self.keys)))
        for kind in ("action_logs", "installation_structure", "oswl_stats", "contact"):
            connection.execute(f"delete from raw.{kind} where installation_key = %s", (key,))
        connection.execute(
            "insert into ops.touched_installation (installation_key, from_day, reason) values (%s, null, 'erased')",
            (key,),
        )
        return key

    def lose_days(self, connection: psycopg.Connection[Any]) -> None:
        """Take the rows of some receive days out of raw, as a correction after a restore does."""
        key = self.random.choice(self.keys)
        day = (START + timedelta(days=7 * (self.loads - 1))).date()
        for kind in ("action_logs", "installation_structure", "oswl_stats"):
            connection.execute(
                f"delete from raw.{kind} where installation_key = %s and received_at >= %s",
                (key, day),
            )
        connection.execute(
            "insert into ops.touched_installation (installation_key, from_day, reason) values (%s, %s, 'corrected')"
            " on conflict do nothing",
            (key, day - timedelta(days=400)),
        )

    def decide(self, connection: psycopg.Connection[Any]) -> None:
        """An operator filters an installation, or takes that back."""
        connection.execute(
            "insert into raw.installation_decision values (%s, %s, 'operator', %s, %s)"
            " on conflict (installation_key) do update set is_filtered = excluded.is_filtered",
            (self.random.choice(self.keys), self.random.random() < 0.5, START, self.loads),
        )

    def replay(self, connection: psycopg.Connection[Any]) -> None:
        """Records of an earlier load again, as a walk back after a restore brings them: in landings of their own."""
        for kind in ("action_logs", "installation_structure", "oswl_stats"):
            connection.execute(
                f"insert into raw.{kind} select gen_random_uuid(), position, %s, installation_key, received_at, tier,"
                f" record from raw.{kind} where load_id = %s and position = 0 and hashtext(landing_id::text) %% 3 = 0",
                (self.loads, self.random.randint(1, self.loads)),
            )
