"""Base backups of a real standby: taken, verified, booted, restored; partitions and retention; erasure."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fuel_stat.identity import installation_key, node_id
from fuel_stat.postgres import Cluster, free_port, server_user
from warehouse import backup, erase, partitions, restore, retention

UID = "11111111-2222-3333-4444-555555555555"


def land(dsn: str, first: int, count: int, *, uid: str = UID, received: str = "now()") -> None:
    """Land ``count`` action logs, one a request, with the ledger's bits in the same transaction."""
    node = node_id(uid)
    with psycopg.connect(dsn) as connection:
        for number in range(first, first + count):
            connection.execute(
                f"insert into collector.landing (node, uid, kind, records, payload_bytes, payload, received_at)"
                f" values (%s, %s, 'action_logs', 1, 1, 'x', {received})".encode(),
                (node, uid),
            )
            connection.execute(
                "insert into collector.ledger_bitmap values (%s, 'action_logs', %s, 1::bigint << %s, 0)"
                " on conflict (node, kind, bucket) do update set bits = ledger_bitmap.bits | excluded.bits",
                (node, number >> 6, number & 63),
            )


@pytest.fixture
def sources(
    own_pair: Any, analytic_db: Any, binaries: Any, clusters_folder: Path
) -> Iterator[backup.Sources]:
    """Everything a backup needs, on a pair of servers of its own."""
    folder = clusters_folder / f"backups-{time.monotonic_ns()}"
    yield backup.Sources(
        own_pair.dsn("fuel_backup", standby=True),
        own_pair.dsn("fuel_extract", standby=True),
        analytic_db.dsn("fuel_warehouse"),
        folder,
        binaries,
    )
    shutil.rmtree(folder, ignore_errors=True)


def _catalogued(sources: backup.Sources) -> dict[str, tuple[Any, ...]]:
    with psycopg.connect(sources.warehouse_dsn) as connection:
        rows = connection.execute("select backup_id, state, drill_passed from ops.backup").fetchall()
    return {row[0]: row[1:] for row in rows}


@pytest.mark.slow
def test_a_backup_is_taken_while_writing_goes_on_verified_booted_and_counted(own_pair, sources):
    """The copy holds at least what had landed before it began, its ledger agrees with it, and it is a primary."""
    admin = own_pair.dsn("fuel_admin")
    land(admin, 0, 50)
    own_pair.wait_replayed()
    stop = threading.Event()

    def go_on() -> None:
        number = 1000
        while not stop.is_set():
            land(admin, number, 1)
            number += 1

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        taken = backup.create_backup(sources)
    finally:
        stop.set()
        writer.join()
    assert taken.landings >= 50
    verified = restore.verify(taken, sources)
    drilled = restore.drill(verified, sources)
    assert drilled.drill_passed is True
    assert drilled.drill_detail["records"]["action_logs"]["landed"] >= 50
    assert _catalogued(sources) == {taken.backup_id: ("verified", True)}
    assert backup.find(sources.folder) == drilled
    assert [entry.name for entry in sources.folder.iterdir() if entry.is_dir()] == [taken.backup_id]


@pytest.mark.slow
def test_a_copy_that_lacks_rows_or_is_damaged_is_found_out(own_pair, sources):
    """The drill compares with what was there; the verification reads every byte."""
    land(own_pair.dsn("fuel_admin"), 0, 5)
    own_pair.wait_replayed()
    taken = backup.create_backup(sources)
    backup.update(replace(taken, landings=taken.landings + 1), "")
    with pytest.raises(backup.BackupError) as failed:
        restore.drill(backup.find(sources.folder), sources)
    assert failed.value.code == "drill_failed"
    archive = next(taken.folder.glob("base.tar*"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(bytes(content))
    with pytest.raises(backup.BackupError) as broken:
        restore.verify(taken, sources)
    assert broken.value.code == "backup_broken"


def test_a_backup_that_was_cut_off_is_never_listed(own_pair, sources):
    """The next one removes what is left of it; a standby that is down is said in a sentence."""
    sources.folder.mkdir(parents=True)
    (sources.folder / ".partial-20200101T000000Z").mkdir()
    own_pair.standby.stop()
    with pytest.raises(backup.BackupError) as refused:
        backup.create_backup(sources)
    assert refused.value.code == "standby_unavailable"
    own_pair.standby.start(tied=True)
    taken = backup.create_backup(sources)
    assert [one.backup_id for one in backup.catalogue(sources.folder)] == [taken.backup_id]
    assert not list(sources.folder.glob(".partial-*"))


def test_pruning_keeps_the_newest_verified_one(own_pair, sources, tmp_path):
    """Old ones go with the archived WAL that only they needed; what is not verified replaces nothing."""
    first, second = (backup.create_backup(sources) for _ in range(2))
    assert backup.prune(sources, 1) == []
    restore.verify(first, sources)
    assert backup.prune(sources, 1) == []
    restore.verify(second, sources)
    needed = backup.first_segment(second)
    for name in ("0" * 24, needed):
        (tmp_path / name).write_bytes(b"")
    assert backup.prune(sources, 1, tmp_path) == [first.backup_id]
    assert [entry.name for entry in tmp_path.iterdir()] == [needed]
    assert _catalogued(sources)[first.backup_id][0] == "removed"


@pytest.mark.slow
def test_a_restore_to_a_moment_has_what_was_before_and_not_what_came_after(
    own_pair, sources, clusters_folder
):
    """Base backup and archived WAL: the copy recovers to the moment and becomes a primary."""
    archive = clusters_folder / "wal_archive"
    archive.mkdir(mode=0o777)
    archive.chmod(0o777)
    primary: Cluster = own_pair.primary
    with (primary.data / "postgresql.auto.conf").open("a") as file:
        file.write(f'archive_mode = on\narchive_command = \'cp "%p" "{archive}/%f"\'\n')
    primary.stop()
    primary.start(tied=True)
    admin = own_pair.dsn("fuel_admin")
    land(admin, 0, 10)
    own_pair.wait_replayed()
    taken = backup.create_backup(sources)
    land(admin, 100, 10)
    time.sleep(1.1)
    moment = datetime.now(UTC)
    time.sleep(1.1)
    land(admin, 200, 10)
    with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
        connection.execute("select pg_switch_wal()")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
            row = connection.execute(
                "select last_archived_time > %s from pg_stat_archiver", (moment,)
            ).fetchone()
        if row and row[0]:
            break
        time.sleep(0.1)
    target = clusters_folder / "restored"
    restore.restore(taken, target, until=moment, wal_archive=archive)
    copy = Cluster(
        "restored", target, free_port(), sources.binaries, primary.superuser_password, server_user()
    )
    copy.configure({"fsync": "off", "max_connections": 100})
    copy.start(tied=True)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with psycopg.connect(copy.dsn("collector"), autocommit=True) as connection:
                rows = connection.execute(
                    "select count(*), pg_is_in_recovery() from collector.landing"
                ).fetchone()
            if rows and rows[1] is False:
                break
            time.sleep(0.1)
        assert rows == (20, False)
    finally:
        copy.stop("immediate")


def test_a_restore_writes_only_into_an_empty_folder_and_knows_its_limits(sources, own_pair, tmp_path):
    """Refusals are sentences with codes."""
    taken = backup.create_backup(sources)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(backup.BackupError) as refused:
        restore.restore(taken, tmp_path / "full")
    assert refused.value.code == "target_not_empty"
    with pytest.raises(backup.BackupError) as early:
        restore.restore(taken, tmp_path / "new", until=datetime(2020, 1, 1, tzinfo=UTC), wal_archive=tmp_path)
    assert early.value.code == "too_early"
    with pytest.raises(backup.BackupError) as unknown:
        backup.find(sources.folder, "20200101T000000Z")
    assert unknown.value.code == "unknown_backup"


def test_partitions_are_made_ahead_and_again_changes_nothing(collector_pair):
    """At least three months are ahead; fewer are refused."""
    admin = collector_pair.dsn("fuel_admin")
    done = partitions.maintain(admin, months_ahead=5)
    assert done.created == 2
    assert done.runway_days > 120
    assert partitions.maintain(admin, months_ahead=5).created == 0
    with pytest.raises(partitions.PartitionError) as refused:
        partitions.maintain(admin, months_ahead=1)
    assert refused.value.code == "too_few_ahead"


def _watermark(dsn: str, xid: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into ops.load (state, to_xid) values ('loaded', %s::xid8)", (str(xid),))


@pytest.mark.slow
def test_an_old_partition_leaves_only_after_it_is_extracted_and_backed_up(own_pair, sources):
    """Each condition alone is not enough; what it held stays counted, and the ledger stays."""
    admin = own_pair.dsn("fuel_admin")
    partitions.ensure(admin, date(2020, 1, 1), date(2020, 1, 31))
    land(admin, 0, 7, received="'2020-01-15T00:00:00Z'")
    land(admin, 100, 3)
    own_pair.wait_replayed()

    def retire() -> list[tuple[str, bool, str]]:
        done = retention.retire(admin, sources.warehouse_dsn, backup.catalogue(sources.folder), months=12)
        return [(one.partition, one.retired, one.reason) for one in done]

    assert retention.retire(admin, sources.warehouse_dsn, [], months=0) == []
    assert retire() == [("landing_202001", False, "not extracted yet")]
    _watermark(sources.warehouse_dsn, 2**40)
    assert retire() == [("landing_202001", False, "in no verified backup yet")]
    taken = backup.create_backup(sources)
    assert retire()[0][1] is False
    restore.verify(taken, sources)
    assert retire() == [("landing_202001", True, "extracted and backed up")]
    with psycopg.connect(admin) as connection:
        assert connection.execute("select count(*) from collector.landing").fetchone() == (3,)
        assert connection.execute(
            "select sum(landings), sum(records) from collector.retired_day"
        ).fetchone() == (7, 7)
        assert connection.execute("select count(*) from collector.ledger_bitmap").fetchone() == (2,)
    own_pair.wait_replayed()
    assert restore.drill(backup.create_backup(sources), sources).drill_passed


def test_an_erased_installation_is_gone_on_both_sides_and_its_neighbour_stays(
    collector_pair, analytic_db, pepper
):
    """Landing, ledger, contacts and raw; the build is told to compute it again; a second time is refused."""
    admin, warehouse = collector_pair.dsn("fuel_admin"), analytic_db.dsn("fuel_warehouse")
    land(admin, 0, 3)
    land(admin, 0, 2, uid="other")
    with psycopg.connect(admin) as connection:
        connection.execute(
            "insert into collector.enrolment_code (code_digest, expires_at, used_by)"
            " values ('a', now(), %s), ('b', now(), 'x')",
            (UID,),
        )
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("create table pub.fct_thing (installation_key uuid, pub_to bigint)")
        for uid in (UID, "other"):
            key = installation_key(pepper, uid)
            connection.execute(
                "insert into raw.action_logs values (gen_random_uuid(), 0, 1, %s, now(), 0, '{}')", (key,)
            )
            connection.execute("insert into pub.fct_thing values (%s, 1)", (key,))
    erased = erase.erase(admin, warehouse, pepper, UID)
    assert erased.raw_records == 1
    assert erase.forget_versions(warehouse, pepper, UID) == 1
    with psycopg.connect(admin) as connection:
        assert connection.execute("select count(*) from collector.landing").fetchone() == (2,)
        assert connection.execute("select count(*) from collector.ledger_bitmap").fetchone() == (1,)
        assert connection.execute("select used_by from collector.enrolment_code").fetchall() == [("x",)]
    with psycopg.connect(warehouse) as connection:
        left = connection.execute("select installation_key from raw.action_logs").fetchall()
        assert left == [(installation_key(pepper, "other"),)]
        touched = connection.execute(
            "select installation_key, from_day from ops.touched_installation"
        ).fetchall()
        assert touched == [(installation_key(pepper, UID), None)]
    with pytest.raises(erase.EraseError) as unknown:
        erase.erase(admin, warehouse, pepper, UID)
    assert unknown.value.code == "unknown_installation"
