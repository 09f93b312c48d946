"""The rules of the dbt project, checked on its manifest: what is read has a contract, what is published is described
and tested, layers are built on the layer below. The names of the rules are those of dbt-project-evaluator."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
LAYERS = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "marts": ("dim_", "fct_", "bridge_"),
    "reports": ("rpt_",),
}
# What a model of a layer may be built on.
BUILT_ON = {
    "staging": set(),
    "intermediate": {"staging", "intermediate", "seeds"},
    "marts": {"staging", "intermediate", "marts"},
    "reports": {"staging", "intermediate", "marts"},
}
INCREMENTAL = {
    "fct_action",
    "fct_workload_record",
    "fct_workload_span",
    "fct_workload_daily",
    "fct_workload_resource",
    "fct_deployment",
    "fct_cluster_snapshot",
    "fct_node",
    "dim_cluster_history",
    "dim_installation_history",
}
Node = dict[str, Any]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The parsed project; needs no database."""
    target = tmp_path_factory.mktemp("dbt")
    command = [str(Path(sys.executable).with_name("dbt")), "parse", "--profiles-dir", "dbt_project"]
    command += ["--target-path", str(target), "--log-path", str(target)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "Deprecat" not in done.stdout, done.stdout
    return json.loads((target / "manifest.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[Node]:
    """All models."""
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def layer(node: Node) -> str:
    """The folder of a model, or seeds."""
    return "seeds" if node["resource_type"] == "seed" else str(Path(node["original_file_path"]).parent.name)


def published(models: list[Node]) -> list[Node]:
    """The models that readers see."""
    return [node for node in models if "published" in node["tags"]]


def test_names_tell_the_layer(models: list[Node]) -> None:
    """Model naming conventions and model directories: the prefix is that of the folder."""
    wrong = [node["name"] for node in models if not node["name"].startswith(LAYERS[layer(node)])]
    assert wrong == []


def test_layers_are_built_on_the_layer_below(models: list[Node], manifest: dict[str, Any]) -> None:
    """No direct join to a source above staging (but for loads and keys by index), no model of a later layer."""
    wrong = []
    for node in models:
        for parent in node["depends_on"]["nodes"]:
            if parent.startswith("source."):
                # int_installations_contacted skips along the raw indexes; pinned loads are no data.
                is_raw = not parent.endswith(".pinned_load")
                if is_raw and layer(node) != "staging" and node["name"] != "int_installations_contacted":
                    wrong.append((node["name"], parent))
            elif layer(manifest["nodes"][parent]) not in BUILT_ON[layer(node)]:
                wrong.append((node["name"], parent))
    assert wrong == []


def test_each_source_is_staged_once(models: list[Node], manifest: dict[str, Any]) -> None:
    """Unused sources and multiple staging models of one source."""
    readers: dict[str, list[str]] = {key: [] for key in manifest["sources"] if ".raw." in key}
    for node in models:
        if layer(node) == "staging":
            for parent in node["depends_on"]["nodes"]:
                if parent in readers:
                    readers[parent].append(node["name"])
    assert {key: names for key, names in readers.items() if len(names) != 1} == {}


def test_sources_are_told_apart_and_joined_in_one_place(models: list[Node], manifest: dict[str, Any]) -> None:
    """Duplicate sources and multiple sources joined: a table is one source, and one model alone looks at several (who
    was ever heard from)."""
    places = [(s["schema"], s["identifier"]) for s in manifest["sources"].values()]
    assert len(set(places)) == len(places)
    joined = {
        n["name"]: {p for p in n["depends_on"]["nodes"] if p.startswith("source.fuel_stat.raw")}
        for n in models
    }
    assert [name for name, sources in joined.items() if len(sources) > 1] == ["int_installations_contacted"]


def test_no_model_joins_too_much(models: list[Node]) -> None:
    """Too many joins: a model is built on at most seven others."""
    built_on = {n["name"]: {p for p in n["depends_on"]["nodes"] if p.startswith("model.")} for n in models}
    assert {name: len(parents) for name, parents in built_on.items() if len(parents) > 7} == {}


def test_every_model_and_column_is_described(models: list[Node], manifest: dict[str, Any]) -> None:
    """Documentation coverage is 100%, of models, columns, sources, seeds and exposures."""
    missing = []
    nodes = models + [n for n in manifest["nodes"].values() if n["resource_type"] == "seed"]
    for node in nodes + list(manifest["sources"].values()) + list(manifest["exposures"].values()):
        if not node["description"].strip():
            missing.append(node["name"])
        for column in node.get("columns", {}).values():
            if not column["description"].strip():
                missing.append(f"{node['name']}.{column['name']}")
    assert missing == []
    assert [node["name"] for node in nodes if not node["columns"]] == []


def test_every_grain_stands_first(models: list[Node]) -> None:
    """The first words of a model's description are its grain."""
    assert [node["name"] for node in models if not node["description"].startswith("One row")] == []


def test_what_is_published_has_a_contract_and_a_key(models: list[Node]) -> None:
    """Contracts on public models; a primary key that the database holds, and a test of it."""
    wrong = []
    for node in published(models):
        keys = [c for c in node["constraints"] if c["type"] == "primary_key"]
        if not node["contract"]["enforced"] or len(keys) != 1:
            wrong.append(node["name"])
    assert wrong == []
    assert {layer(node) for node in published(models)} == {"marts", "reports"}
    assert [
        n["name"] for n in models if layer(n) in {"marts", "reports"} and n not in published(models)
    ] == []


def test_every_table_has_its_key_tested(models: list[Node], manifest: dict[str, Any]) -> None:
    """Test coverage: each table's key, and each of its keys into a dimension."""
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    keyed = {t["attached_node"] for t in tests if (t.get("test_metadata") or {}).get("name") == "is_key"}
    tables = {node["unique_id"] for node in models if node["config"]["materialized"] != "view"}
    assert tables - keyed == set()
    referring: dict[str, set[str]] = {}
    for test in tests:
        if (test.get("test_metadata") or {}).get("name") == "refers_to_known":
            columns = {r["column"] for r in test["test_metadata"]["kwargs"]["references"]}
            referring.setdefault(test["attached_node"], set()).update(columns)
    keys = {"installation_key", "cluster_key", "action_key", "hardware_key", "role_key", "plugin_key"}
    unchecked = []
    for node in published(models):
        [constraint] = [c for c in node["constraints"] if c["type"] == "primary_key"]
        own = set(constraint["columns"]) if node["name"].startswith("dim_") else set()
        foreign = (keys & set(node["columns"])) - own
        unchecked += [(node["name"], c) for c in foreign - referring.get(node["unique_id"], set())]
    assert unchecked == []


def test_every_rule_has_a_unit_test(models: list[Node], manifest: dict[str, Any]) -> None:
    """Each model that does more than pick columns has a unit test with inline rows."""
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    plain = {
        "stg_raw__contacts",  # renames
        "dim_date",  # a calendar
        "dim_plugin",  # distinct values, as in dim_action
        "dim_node_role",
        "int_installations_touched",  # depends on the state before: tests/integration/dbt/test_increments.py
    }
    assert {node["name"] for node in models} - tested == plain


def test_every_report_has_an_exposure(models: list[Node], manifest: dict[str, Any]) -> None:
    """Exposures name what is read, and read only what is published and has a contract."""
    exposed = {parent for e in manifest["exposures"].values() for parent in e["depends_on"]["nodes"]}
    reports = {node["unique_id"] for node in models if layer(node) == "reports"}
    assert reports - exposed == set()
    assert exposed <= {node["unique_id"] for node in published(models)}


def test_every_source_has_freshness(manifest: dict[str, Any]) -> None:
    """Sources of data say when they are stale."""
    stale = [s for s in manifest["sources"].values() if s["source_name"] == "raw" and not s["freshness"]]
    assert stale == []


def test_what_readers_ask_is_held_as_a_table(manifest: dict[str, Any]) -> None:
    """Exposure parents materializations: nobody waits for a view to be worked out."""
    parents = {parent for e in manifest["exposures"].values() for parent in e["depends_on"]["nodes"]}
    kinds = {parent: manifest["nodes"][parent]["config"]["materialized"] for parent in parents}
    assert {parent for parent, kind in kinds.items() if kind not in {"table", "incremental"}} == set()


def test_views_do_not_pile_up(models: list[Node]) -> None:
    """Chained view dependencies: a view of a view is the most there is between two tables."""
    views = {n["unique_id"]: n for n in models if n["config"]["materialized"] == "view"}

    def depth(key: str) -> int:
        if key not in views:
            return 0
        return 1 + max((depth(parent) for parent in views[key]["depends_on"]["nodes"]), default=0)

    assert {key: depth(key) for key in views if depth(key) > 2} == {}


def test_relations_are_named_by_reference(models: list[Node], manifest: dict[str, Any]) -> None:
    """Hard coded references and root models: each relation is a ref() or a source(), so that dbt knows what comes
    first; only the calendar is made from nothing."""
    known = {n["name"] for n in models} | {s["name"] for s in manifest["sources"].values()}
    named = re.compile(
        r"\b(?:from|join)\s+(?:(?:build|raw|ops)\.)?(" + "|".join(sorted(known)) + r")\b", re.IGNORECASE
    )
    assert {n["name"]: found for n in models if (found := named.findall(n["raw_code"]))} == {}
    assert [n["name"] for n in models if not n["depends_on"]["nodes"]] == ["dim_date"]


def test_what_is_said_of_a_model_stands_beside_it(models: list[Node], manifest: dict[str, Any]) -> None:
    """Source, model and test directories: one yml a folder, and none speaks of another folder's."""
    named = [
        n
        for n in models
        if n["patch_path"].split("://")[1].rsplit("/", 1)[0] != str(Path(n["original_file_path"]).parent)
    ]
    assert [n["name"] for n in named] == []
    assert {Path(s["original_file_path"]).parent.name for s in manifest["sources"].values()} == {"staging"}
    tests = list(manifest["unit_tests"].values())
    of = {n["name"]: Path(n["original_file_path"]).parent for n in models}
    assert [t["name"] for t in tests if Path(t["original_file_path"]).parent != of[t["model"]]] == []


def test_nothing_is_left_unused(models: list[Node], manifest: dict[str, Any]) -> None:
    """No model below the reports that nothing is built on and no exposure names."""
    used = {parent for node in models for parent in node["depends_on"]["nodes"]}
    used |= {parent for e in manifest["exposures"].values() for parent in e["depends_on"]["nodes"]}
    assert [node["name"] for node in models if node["unique_id"] not in used] == []


def test_models_fit_on_a_screen_and_a_half() -> None:
    """Models stay short; those that unpack or compare a lot are named here."""
    long = {
        path.stem: lines
        for path in (REPOSITORY / "dbt_project" / "models").rglob("*.sql")
        if (lines := len(path.read_text().splitlines())) > 100
    }
    assert set(long) <= {
        "int_installations_touched",
        "fct_action",
        "fct_node",
        "fct_deployment",
        "fct_workload_resource",
        "dim_cluster_history",
        "rpt_workload_daily",
    }


def test_many_rows_are_incremental_and_no_snapshots_are_used(
    models: list[Node], manifest: dict[str, Any]
) -> None:
    """The large facts are replaced where loads touched them; history never comes from build time."""
    strategies = {n["name"]: n["config"].get("incremental_strategy") for n in models}
    assert {strategies[name] for name in INCREMENTAL} == {"replace_touched"}
    assert [n for n in manifest["nodes"].values() if n["resource_type"] == "snapshot"] == []


def test_nothing_phones_home() -> None:
    """dbt's usage statistics are off in the project itself."""
    assert "send_anonymous_usage_stats: false" in (REPOSITORY / "dbt_project.yml").read_text()
