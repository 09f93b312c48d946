"""`dbt source freshness` as the pipeline and an operator run it, on real tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuel_stat.cli import main
from warehouse import freshness, pipeline

pytestmark = pytest.mark.slow
KEY = "00000000-0000-0000-0000-000000000001"


@pytest.mark.timeout(180)
def test_a_source_that_is_no_longer_fed_is_told(
    warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Nothing to say before the first load; silence of all nodes for more than a day is an error that names the source
    and its age; records alone may be old; as soon as a node is heard from all is well."""
    places = pipeline.Places(warehouse.dsn, home=tmp_path)
    warehouse.connection.execute("delete from ops.load_window")
    assert freshness.check(places) == []

    load_id = warehouse.load()
    row = "insert into raw.contact values (%s, (now() - %s::interval)::date, 0, now() - %s::interval, %s)"
    warehouse.connection.execute(row, (KEY, "31 hours", "31 hours", load_id))
    with pytest.raises(freshness.StaleError) as told:
        freshness.check(places)
    assert told.value.code == "sources_stale"
    assert told.value.sentence == "raw.contact: the newest is 31.0 h old (error)"

    warehouse.connection.execute(row, (KEY, "25 hours", "25 hours", load_id))
    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path))
    for name in ("WAREHOUSE", "COLLECTOR_STANDBY", "COLLECTOR_ADMIN"):
        monkeypatch.setenv(f"FUEL_STAT_{name}_DSN", warehouse.dsn)
    capsys.readouterr()  # what was logged before
    with pytest.raises(SystemExit) as ended:
        main.main(("warehouse", "freshness", "--json"))
    assert not ended.value.code
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["raw.contact"]["status"] == "pass"
    assert round(found["raw.contact"]["age_seconds"] / 3600) == 25
    assert found["raw.action_logs"] == {"name": "raw.action_logs", "status": "warn", "age_seconds": None}
