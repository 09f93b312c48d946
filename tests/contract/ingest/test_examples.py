"""The wire contract is data: every schema has examples that pass and fail, and says the same in both libraries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from ingest_api.errors import KindError
from ingest_api.judging import Judge
from ingest_api.kinds import SHIPPED, Kind, load_kind, load_kinds

KINDS = load_kinds([SHIPPED])
EXAMPLES = [
    pytest.param(kind, path, verdict, id=path.name)
    for kind in KINDS.values()
    for verdict in ("pass", "fail")
    for path in kind.examples(verdict)  # type: ignore[arg-type]
]


def test_the_three_kinds_of_the_contract_are_shipped() -> None:
    """Action logs, structures and workloads, each with a few examples of both verdicts."""
    assert set(KINDS) == {"action_logs", "installation_structure", "oswl_stats"}
    for kind in KINDS.values():
        assert len(kind.examples("pass")) >= 4
        assert len(kind.examples("fail")) >= 4


@pytest.mark.parametrize(("kind", "path", "verdict"), EXAMPLES)
def test_an_example_passes_or_fails_as_its_name_says(kind: Kind, path: Path, verdict: str) -> None:
    """In a passing example every record is taken, in a failing one every record is refused with a sentence."""
    content = json.loads(path.read_text())[kind.envelope]
    records = content if kind.many else [content]
    refusals = Judge(kind).refusals(records)
    if verdict == "pass":
        assert refusals == {}
    else:
        assert set(refusals) == set(range(len(records)))
        assert all(reason.sentence for reason in refusals.values())
    fast = jsonschema.Draft4Validator(dict(kind.schema))
    for index, record in enumerate(records):
        assert fast.is_valid(record) == (index not in refusals or refusals[index].code == "bad_date")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_schema_is_a_draft_4_schema(kind: Kind) -> None:
    """The schema itself is valid and names its draft."""
    jsonschema.Draft4Validator.check_schema(dict(kind.schema))
    assert kind.schema["$schema"] == "http://json-schema.org/draft-04/schema#"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ledger": "none"}, "unknown ledger"),
        ({"kind": "other"}, "cannot be read"),
        ({"version": 2}, "cannot be read"),
        ({"id": "number"}, "require every member"),
        ({"subtype": "external_id"}, "subtype"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    """A kind whose key the schema does not require, or that is inconsistent, never gets as far as the ledger."""
    folder = tmp_path / "action_logs"
    shutil.copytree(SHIPPED / "action_logs", folder)
    declaration = json.loads((folder / "kind.json").read_text())
    (folder / "kind.json").write_text(json.dumps({**declaration, **change}))
    with pytest.raises(KindError, match=said):
        load_kind(folder)
