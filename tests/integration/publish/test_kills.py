"""kill -9 at every step of a publication: readers keep what they have, and the next run repairs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse import publish

REPOSITORY = Path(__file__).resolve().parents[3]
CHILD = """
import os, signal, sys
import psycopg
from warehouse import publish, publish_store, publish_views
dsn, moment = sys.argv[1:]
TABLES = ["dim_thing", "fct_thing"]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def at(name):
    if name == moment:
        die()
with psycopg.connect(dsn, autocommit=True) as connection:
    if moment == "while pinning":
        publish._pin = die
    begun = publish.begin(connection).publication_id
    at("after begin")
    for suite in ("raw", "marts"):
        connection.execute(
            "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded)"
            " values (%s, %s, 'rule', 'table', 'block', true)", (begun, suite))
    publish.mark_built(connection, begun)
    at("after build")
    publish.mark_audited(connection, begun)
    at("after audit")
    if moment == "while staging":
        real = publish_store._record
        publish_store._record = lambda c, p, staged: die() if staged.table == "fct_thing" else real(c, p, staged)
    publish_store.stage(connection, begun, TABLES)
    at("after staging")
    def before():
        publish_views.bring_in_line(connection, TABLES)
    def midway():
        before()
        connection.execute("update ops.published set publication_id = %s", (begun,))
        die()
    publish.switch(connection, begun, before=midway if moment == "while switching" else before)
    at("after switching")
"""
MOMENTS = [
    "while pinning", "after begin", "after build", "after audit", "while staging", "after staging",
    "while switching", "after switching",
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_leaves_the_published_numbers_and_the_next_one_repairs(warehouse, moment):
    """Readers see version 1 until the pointer's commit, then 2; the run after the kill publishes version 3."""
    warehouse.publish()
    warehouse.build(2)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, warehouse.dsn, moment],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    expected = 2 if moment == "after switching" else 1
    assert warehouse.seen() == (expected, expected, 50)
    warehouse.build(3)
    warehouse.publish()
    assert warehouse.seen() == (3, 3, 50)
    assert warehouse.connection.execute(
        "select count(*) from pub.fct_thing where pub_to = 9223372036854775807"
    ).fetchone() == (50,)
    publish.rollback(warehouse.connection)
    assert warehouse.seen() == (expected, expected, 50)
