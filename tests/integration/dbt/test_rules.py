"""The unit tests of the models run, and each of them can fail."""

# ruff: noqa: E501 - a mutant is one line

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import conninfo

from tests.integration.dbt.warehouse import REPOSITORY, Warehouse

Mutant = tuple[str, str, str, str]
NO_SQL = re.compile("syntax error|does not exist|Compilation Error|is ambiguous")
EVIDENCE = REPOSITORY / "docs" / "evidence" / "dbt-mutants.md"
# A rule, broken once: the file below dbt_project, what stands there, what would be wrong, and the
# model whose unit tests must notice (empty: the file's own).
MUTANTS: list[Mutant] = [
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
    ("models/marts/dim_cluster_history.sql", "or compared.valid_from is distinct from", "or false and compared.valid_from is distinct from", ""),
    ("models/marts/dim_cluster.sql", "order by clusters.received_at desc", "order by clusters.received_at", ""),
    ("models/marts/fct_cluster_snapshot.sql", "coalesce(versions.valid_to_day - 1,", "coalesce(versions.valid_to_day,", ""),
    ("models/marts/fct_workload_record.sql", "workloads.updated_time desc nulls last,", "", ""),
    ("models/marts/fct_workload_span.sql", "records.updated_time desc nulls last", "records.updated_time nulls last", ""),
    ("models/marts/fct_workload_daily.sql", "spans.is_repeated or series.day", "series.day", ""),
    ("models/marts/fct_workload_daily.sql", "contacted.last_contact_day)", "spans.record_day)", ""),
    ("models/marts/fct_workload_resource.sql", "> 2\n", "> 1\n", ""),
    ("models/marts/fct_workload_resource.sql", "and (not flagged.is_gone or not daily.is_carried)", "", ""),
    ("models/marts/fct_node.sql", "where jsonb_typeof(elements.node) = 'object'", "", ""),
    ("macros/known_vendor.sql", "like 'to be filled by%'", "like 'filled by%'", "fct_node"),
    ("macros/known_vendor.sql", "and translate(btrim({{ text }}), '-0', '') <> ''", "", "fct_node"),
    ("models/marts/bridge_node_role.sql", "select distinct", "select", ""),
    ("models/marts/bridge_cluster_plugin.sql", "select distinct", "select", ""),
    ("models/marts/dim_hardware.sql", "innotek|", "", ""),
    ("models/marts/dim_release.sql", "lpad(parts.part, 4, '0')", "parts.part", ""),
    ("models/marts/fct_deployment.sql", "and actions.parent_task_id is null", "", ""),
    ("models/marts/fct_deployment.sql", "numbered.series_key, numbered.successes_before", "numbered.series_key", ""),
    ("models/marts/fct_deployment.sql", "before.failures_before + 1", "1", ""),
    ("models/marts/fct_deployment.sql", "case when counted.successes_before = 0 then", "case when true then", ""),
    ("models/marts/fct_deployment.sql", "versions.valid_from < (counted.received_day + 1)", "versions.valid_from < counted.received_day", ""),
    ("models/marts/fct_deployment.sql", "coalesce(snapshots.nodes_num, counted.nodes_count)", "counted.nodes_count", ""),
    ("models/marts/fct_workload_span.sql", "series.was_repeated, series.data_digest", "null, series.data_digest", ""),
    ("models/marts/fct_workload_span.sql", "lead(series.record_day) over by_series", "lead(series.record_day, 2) over by_series", ""),
    ("models/marts/dim_installation_history.sql", "changed.numbered_from - 1 + row", "row", ""),
    ("models/marts/dim_installation_history.sql", "'scanned.valid_from < touched.structure_from'", "'scanned.valid_from > touched.structure_from'", ""),
    ("models/marts/dim_cluster_history.sql", "kept.structure_from as valid_to", "kept.valid_to", ""),
    ("models/marts/dim_cluster_history.sql", "and kept.valid_to < ended.structure_from", "", ""),
    ("models/reports/rpt_installation_distribution.sql", "and not dims.is_filtered", "", ""),
    ("models/reports/rpt_summary.sql", "where installations.has_structure and not", "where not", ""),
    ("models/reports/rpt_structure.sql", "case when not installations.is_undecided then installations.is_filtered end", "installations.is_filtered", ""),
    ("models/reports/rpt_environment_distribution.sql", "where clusters.is_current and", "where", ""),
    ("models/reports/rpt_environment_distribution.sql", "when environments.vcenter or", "when", ""),
    ("models/reports/rpt_environment_distribution.sql", "or environments.hypervisor = 'vcenter' then", "then", ""),
    ("models/reports/rpt_node_distribution.sql", "where facts.is_current and", "where", ""),
    ("models/reports/rpt_installation_daily.sql", "spans.to_day + 1", "spans.to_day", ""),
    ("models/reports/rpt_installation_weekly.sql", "< active.week_start - 7", "<= active.week_start - 7", ""),
    ("models/reports/rpt_retention_cohort.sql", "min(weeks.week_start)", "max(weeks.week_start)", ""),
    ("models/reports/rpt_upgrade_path.sql", "where versions.from_release <> versions.to_release", "where true", ""),
    ("models/reports/rpt_deployment.sql", "avg(deployments.failures_before) filter (where not deployments.is_failed)", "avg(deployments.failures_before)", ""),
    ("models/reports/rpt_deployment.sql", "count(deployments.is_failed)", "count(*)", ""),
    ("models/reports/rpt_network_verification.sql", "and kinds.is_network_verification", "", ""),
    ("models/reports/rpt_workload_daily.sql", "where not installations.is_filtered and", "where", ""),
    ("models/reports/rpt_workload_daily.sql", "and facts.record_day <= installations.last_contact_day", "", ""),
    ("models/reports/rpt_workload_daily.sql", "case when spans.is_repeated then 0 else spans.added_count end", "spans.added_count", ""),
    ("models/reports/rpt_workload_daily.sql", "-spans.current_count", "0", ""),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_rules_hold(golden_warehouse: Warehouse) -> None:
    """Every unit test of the models passes."""
    outcome = golden_warehouse.dbt("test", "--select", "test_type:unit")
    assert outcome.success, outcome.errors
    assert len(outcome.statuses) >= 40


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_key_that_the_database_does_not_hold_is_noticed(golden_warehouse: Warehouse) -> None:
    """Keys of published tables are not looked for in the rows: that the table has its primary key is."""
    key = "select conname from pg_constraint where conrelid = 'build.dim_date'::regclass and contype = 'p'"
    [(name,)] = golden_warehouse.query(key)
    golden_warehouse.execute(f'alter table build.dim_date drop constraint "{name}"')
    try:
        outcome = golden_warehouse.dbt("test", "--select", "dim_date,test_name:is_key")
        assert [error for error in outcome.errors if "is_key_dim_date" in error]
    finally:
        golden_warehouse.execute("alter table build.dim_date add primary key (date_day)")
    assert golden_warehouse.dbt("test", "--select", "dim_date,test_name:is_key").success


@pytest.mark.evidence
@pytest.mark.timeout(1800)
def test_a_broken_rule_fails_its_unit_test(golden_warehouse: Warehouse, tmp_path: Path) -> None:
    """Each rule broken once on purpose: a unit test of the model notices. Unit tests mock what a model is built on, so
    one run of dbt judges a mutant of each model at once. Writes docs/evidence/dbt-mutants.md."""
    noticed: dict[Mutant, list[str]] = {}
    for number, batch in enumerate(batches(MUTANTS)):
        noticed |= judged(golden_warehouse.dsn, tmp_path / str(number), batch)
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(page(noticed))
    assert [mutant for mutant in MUTANTS if not noticed[mutant]] == []


def model_of(mutant: Mutant) -> str:
    """The model whose unit tests must notice."""
    return mutant[3] or Path(mutant[0]).stem


def batches(mutants: list[Mutant]) -> Iterator[list[Mutant]]:
    """Mutants that do not meet: a macro's alone, since macros are everywhere; else one of each model."""
    shared = [mutant for mutant in mutants if mutant[0].startswith("macros/")]
    yield from ([mutant] for mutant in shared)
    rest = [mutant for mutant in mutants if mutant not in shared]
    while rest:
        batch = list({model_of(mutant): mutant for mutant in reversed(rest)}.values())
        rest = [mutant for mutant in rest if mutant not in batch]
        yield batch


def judged(dsn: str, project: Path, batch: list[Mutant]) -> dict[Mutant, list[str]]:
    """The unit tests of its model that each mutant fails, in a copy of the project broken by all of them."""
    shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
    shutil.copy(REPOSITORY / "dbt_project.yml", project)
    for file, old, new, _ in batch:
        path = project / "dbt_project" / file
        text = path.read_text()
        assert old in text, f"{file} no longer has {old!r}"
        path.write_text(text.replace(old, new))
    results = unit_tests(dsn, project, [model_of(mutant) for mutant in batch])
    bad: dict[Mutant, list[str]] = {}
    for mutant in batch:
        own = {name: said for (model, name), said in results.items() if model == model_of(mutant)}
        assert own, f"{model_of(mutant)} has no unit test"
        # A model that is no SQL any more is a broken model and no broken rule: such a mutant proves nothing.
        assert not [said for said in own.values() if NO_SQL.search(said)], (mutant, own)
        bad[mutant] = sorted(name for name, said in own.items() if said)
    return bad


def unit_tests(dsn: str, project: Path, models: list[str]) -> dict[tuple[str, str], str]:
    """What each unit test of these models complains about (nothing when it passes), by model and name."""
    parts = {name: str(value) for name, value in conninfo.conninfo_to_dict(dsn).items()}
    environment = dict(os.environ)
    for name in ("host", "port", "user", "password", "dbname"):
        environment[f"FUEL_STAT_DBT_{name.upper()}"] = parts[name]
    command = [str(Path(sys.executable).with_name("dbt")), "test"]
    command += ["--select", *(f"{model},test_type:unit" for model in models)]
    command += ["--project-dir", str(project), "--profiles-dir", str(project / "dbt_project")]
    command += ["--target-path", str(project / "target"), "--log-path", str(project / "logs")]
    command += ["--vars", json.dumps({"as_of": ""})]
    done = subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, check=False)
    results = project / "target" / "run_results.json"
    assert results.exists(), done.stdout[-3000:]
    said = {}
    for result in json.loads(results.read_text())["results"]:
        _, _, model, name = result["unique_id"].split(".")
        said[model, name] = "" if result["status"] == "pass" else str(result["message"])
    return said


def page(noticed: dict[Mutant, list[str]]) -> str:
    """The evidence: each mutant beside the tests that noticed."""

    def cell(text: str) -> str:
        return "`" + " ".join(text.split()).replace("|", "\\|") + "`" if text.strip() else "(nothing)"

    caught = sum(1 for names in noticed.values() if names)
    lines = [
        "# Each rule of the marts, broken once on purpose",
        "",
        'Written by `make evidence PYTEST="-k broken_rule"`. A line of a model or macro is changed in a copy of the project, and the',
        f"unit tests of the model are run. {caught} of {len(noticed)} are noticed.",
        "",
        "| file | the rule | broken | model | noticed by |",
        "|---|---|---|---|---|",
    ]
    for mutant in MUTANTS:
        names = ", ".join(noticed[mutant]) or "**nobody**"
        lines.append(
            f"| {mutant[0]} | {cell(mutant[1])} | {cell(mutant[2])} | {model_of(mutant)} | {names} |"
        )
    return "\n".join([*lines, ""])
