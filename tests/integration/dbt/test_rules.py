"""The unit tests of the models run, and each of them can fail."""

# ruff: noqa: E501 - a mutant is one line

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import conninfo

from tests.integration.dbt.warehouse import REPOSITORY, Warehouse

# A rule, broken once: the file below dbt_project, what stands there, and what would be wrong.
MUTANTS = [
    ("macros/json.sql", "~ '^-?[0-9]{1,18}$'", "~ '^-?[0-9.]{1,18}$'", "stg_raw__action_logs"),
    ("macros/time.sql", "[T ]", "[T]", "stg_raw__action_logs"),
    ("macros/time.sql", "extract(\n", "31 + extract(\n", "stg_raw__action_logs"),
    ("macros/time.sql", "([01][0-9]|2[0-3])", "([0-2][0-9])", "stg_raw__oswl_stats"),
    ("macros/time.sql", "when {{ occurred }} is null then {{ received }}", "when false then null", "int_actions_dated"),
    ("macros/time.sql", "{{ received }} + interval", "{{ received }} - interval", "int_actions_dated"),
    ("macros/time.sql", "then 'clamped_past'", "then 'occurred'", "int_workloads_dated"),
    ("models/staging/stg_raw__installation_decisions.sql", "<> 'legacy-undecided'", "<> ''", ""),
    ("models/staging/stg_raw__installation_structures.sql", "and not structures.record ? '_unreadable'", "", ""),
    ("models/staging/stg_raw__oswl_stats.sql", "'{}'::jsonb", "'[]'::jsonb", ""),
    ("models/intermediate/int_structures_versioned.sql", "over by_installation is null as", "over by_installation is not null as", ""),
    ("models/intermediate/int_clusters_unpacked.sql", "order by unpacked.cluster_position\n", "order by unpacked.cluster_position desc\n", ""),
    ("models/intermediate/int_contacts_weekly.sql", "'week'", "'month'", ""),
    ("models/intermediate/int_installations_contacted.sql", "order by contacts.contact_day desc", "order by contacts.contact_day", ""),
    ("models/intermediate/int_installations_filtered.sql", "'unknown_release', 'build", "'build", ""),
    ("models/intermediate/int_installations_filtered.sql", "not matched.has_rules then 'no_rules'", "false then 'no_rules'", ""),
    ("models/intermediate/int_installations_filtered.sql", "rules.from_date <=", "rules.from_date >=", ""),
    ("models/intermediate/int_installations_filtered.sql", "order by packages.name)", "order by packages.name desc)", ""),
    ("models/intermediate/int_installations_filtered.sql", "then decisions.is_filtered", "then false", ""),
    ("models/marts/fct_action.sql", "order by actions.received_at,", "order by actions.received_at desc,", ""),
    ("models/marts/fct_action.sql", "interval '1 year'", "interval '9 year'", ""),
    ("models/marts/fct_action.sql", "http_status >= 400", "http_status > 400", ""),
    ("models/marts/dim_action.sql", "'nailgun_task' and named.action_name in", "'http_request' and named.action_name in", ""),
    ("models/marts/dim_installation.sql", "coalesce(filtered.is_filtered, true)", "coalesce(filtered.is_filtered, false)", ""),
    ("models/marts/dim_installation_history.sql", "where changed.is_change\n", "where true\n", ""),
    ("models/marts/dim_cluster_history.sql", "or versions.valid_from is distinct from", "or false and versions.valid_from is distinct from", ""),
    ("models/marts/dim_cluster.sql", "order by clusters.received_at desc", "order by clusters.received_at", ""),
    ("models/marts/fct_cluster_snapshot.sql", "coalesce(versions.valid_to_day - 1,", "coalesce(versions.valid_to_day,", ""),
    ("models/marts/fct_workload_record.sql", "workloads.updated_time desc nulls last,", "", ""),
    ("models/marts/fct_workload_daily.sql", "records.updated_time desc nulls last", "records.updated_time nulls last", ""),
    ("models/marts/fct_workload_daily.sql", "spans.is_repeated or series.day", "series.day", ""),
    ("models/marts/fct_workload_daily.sql", "contacted.last_contact_day)", "spans.record_day)", ""),
    ("models/marts/fct_workload_resource.sql", "> 2\n", "> 1\n", ""),
    ("models/marts/fct_workload_resource.sql", "and (not flagged.is_gone or not daily.is_carried)", "", ""),
    ("models/marts/fct_node.sql", "where jsonb_typeof(elements.node) = 'object'", "", ""),
    ("models/marts/bridge_node_role.sql", "select distinct", "select", ""),
    ("models/marts/bridge_cluster_plugin.sql", "select distinct", "select", ""),
    ("models/marts/dim_hardware.sql", "innotek|", "", ""),
    ("models/marts/dim_release.sql", "lpad(parts.part, 4, '0')", "parts.part", ""),
    ("models/marts/fct_deployment.sql", "and actions.parent_task_id is null", "", ""),
    ("models/marts/fct_deployment.sql", "numbered.series_key, numbered.successes_before", "numbered.series_key", ""),
    ("models/reports/rpt_installation_distribution.sql", "and not dims.is_filtered", "", ""),
    ("models/reports/rpt_summary.sql", "where installations.has_structure and not", "where not", ""),
    ("models/reports/rpt_structure.sql", "case when not installations.is_undecided then installations.is_filtered end", "installations.is_filtered", ""),
    ("models/reports/rpt_environment_distribution.sql", "where clusters.is_current and", "where", ""),
    ("models/reports/rpt_node_distribution.sql", "where facts.is_current and", "where", ""),
    ("models/reports/rpt_installation_daily.sql", "spans.to_day + 1", "spans.to_day", ""),
    ("models/reports/rpt_installation_weekly.sql", "< active.week_start - 7", "<= active.week_start - 7", ""),
    ("models/reports/rpt_retention_cohort.sql", "min(weeks.week_start)", "max(weeks.week_start)", ""),
    ("models/reports/rpt_upgrade_path.sql", "where versions.from_release <> versions.to_release", "where true", ""),
    ("models/reports/rpt_deployment.sql", "filter (where not deployments.is_failed)", "", ""),
    ("models/reports/rpt_network_verification.sql", "and kinds.is_network_verification", "", ""),
    ("models/reports/rpt_workload_daily.sql", "where not installations.is_filtered\n", "", ""),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_rules_hold(golden_warehouse: Warehouse) -> None:
    """Every unit test of the models passes."""
    outcome = golden_warehouse.dbt("test", "--select", "test_type:unit")
    assert outcome.success, outcome.errors
    assert len(outcome.statuses) >= 40


@pytest.mark.evidence
@pytest.mark.timeout(1800)
def test_a_broken_rule_fails_its_unit_test(golden_warehouse: Warehouse, tmp_path: Path) -> None:
    """Each rule broken once on purpose: a unit test of the model notices."""
    survivors = []
    for file, old, new, model in MUTANTS:
        path = tmp_path / "dbt_project" / file
        shutil.copytree(REPOSITORY / "dbt_project", tmp_path / "dbt_project", dirs_exist_ok=True)
        shutil.copy(REPOSITORY / "dbt_project.yml", tmp_path)
        text = path.read_text()
        assert old in text, f"{file} no longer has {old!r}"
        path.write_text(text.replace(old, new))
        if unit_tests_pass(golden_warehouse.dsn, tmp_path, model or path.stem):
            survivors.append((file, old))
    assert survivors == []


def unit_tests_pass(dsn: str, project: Path, model: str) -> bool:
    """Run the unit tests of one model of a copied project."""
    parts = {name: str(value) for name, value in conninfo.conninfo_to_dict(dsn).items()}
    environment = dict(os.environ)
    for name in ("host", "port", "user", "password", "dbname"):
        environment[f"FUEL_STAT_DBT_{name.upper()}"] = parts[name]
    command = [str(Path(sys.executable).with_name("dbt")), "test", "--select", f"{model},test_type:unit"]
    command += ["--project-dir", str(project), "--profiles-dir", str(project / "dbt_project")]
    command += ["--target-path", str(project / "target"), "--log-path", str(project / "logs")]
    command += ["--vars", json.dumps({"as_of": ""})]
    done = subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, check=False)
    assert "Nothing to do" not in done.stdout, done.stdout
    return done.returncode == 0
