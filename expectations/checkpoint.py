"""Turns declared measures into Great Expectations' suites, runs them as one checkpoint, and writes its Data Docs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.measures import Measure, Subject


@dataclass(frozen=True)
class Verdict:
    """What became of one expectation. ``observed`` is None when the measure itself could not be taken (``error``)."""

    subject: Subject
    measure: Measure
    succeeded: bool
    observed: float | None
    error: str | None = None


def run(
    suite: str, subjects: Sequence[Subject], sqlalchemy_url: str, site: Path | None = None
) -> list[Verdict]:
    """Validate every subject with Great Expectations: one query a subject, nothing sent anywhere.

    Args:
        suite: the suite's name (raw, marts).
        sqlalchemy_url: where to measure.
        site: folder of the Data Docs of this suite, written anew; None writes none.
    """
    with warnings.catch_warnings():
        # The library's own deprecations are not ours to mend.
        warnings.simplefilter("ignore")
        return _run(suite, subjects, sqlalchemy_url, site)


def _run(suite: str, subjects: Sequence[Subject], sqlalchemy_url: str, site: Path | None) -> list[Verdict]:
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    if site is not None:
        _declare_site(context, suite, site)
    source = context.data_sources.add_postgres(
        "warehouse", connection_string=sqlalchemy_url, create_temp_table=False
    )
    validations = []
    for number, subject in enumerate(subjects):
        name = f"{suite}-{number:02}-{subject.name}"
        asset = source.add_query_asset(name, query=subject.query())
        batch = asset.add_batch_definition_whole_table("all")
        expectations = context.suites.add(gx.ExpectationSuite(name=name))
        for measure in subject.measures:
            expectations.add_expectation(_expectation(gx, measure))
        validations.append(
            context.validation_definitions.add(
                gx.ValidationDefinition(name=name, data=batch, suite=expectations)
            )
        )
    checkpoint = gx.Checkpoint(name=suite, validation_definitions=validations, result_format="BASIC")
    done = context.checkpoints.add(checkpoint).run()
    if site is not None:
        context.build_data_docs()
    outcomes = [result for one in done.run_results.values() for result in one.results]
    return _verdicts(subjects, outcomes)


def _great_expectations() -> Any:
    # Great Expectations reads this when it is imported: nothing of ours is reported to its makers.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx  # noqa: PLC0415 - seconds to import, and the variable has to come first

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return gx


def _declare_site(context: Any, suite: str, site: Path) -> None:
    site.mkdir(parents=True, exist_ok=True)
    for name in list(context.get_site_names()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        site_name=suite,
        site_config={
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)},
        },
    )


def _expectation(gx: Any, measure: Measure) -> Any:
    """The measure is a column of a one-row query: its maximum is its value."""
    return gx.expectations.ExpectColumnMaxToBeBetween(
        column=measure.name,
        min_value=measure.minimum,
        max_value=measure.maximum,
        severity="critical" if measure.severity == "block" else "warning",
        notes=measure.because,
        meta={"name": measure.name},
    )


def _verdicts(subjects: Sequence[Subject], outcomes: Sequence[Any]) -> list[Verdict]:
    by_name = {outcome.expectation_config.meta["name"]: outcome for outcome in outcomes}
    verdicts = []
    for subject in subjects:
        for measure in subject.measures:
            outcome = by_name[measure.name]
            observed = outcome.result.get("observed_value") if outcome.result else None
            number = float(observed) if observed is not None else None
            error = None if number is not None else _exception(outcome)
            verdicts.append(Verdict(subject, measure, bool(outcome.success), number, error))
    return verdicts


def _exception(outcome: Any) -> str:
    info = outcome.exception_info or {}
    found = [info, *(value for value in info.values() if isinstance(value, dict))]
    messages = [str(one["exception_message"]) for one in found if one.get("exception_message")]
    return " ".join((messages or ["the measure gave no value"])[0].split())[:1000]
