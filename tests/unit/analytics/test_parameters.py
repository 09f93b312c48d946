"""What requests carry, read strictly."""

from __future__ import annotations

import uuid
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_api.errors import BadRequestError
from analytics_api.parameters import Paging, Period, installation_keys
from fuel_stat.identity import installation_key


def test_period_defaults_to_ninety_days_back_to_today() -> None:
    """Without dates, the period is the 90 days back to today."""
    period = Period.of(None, None, today=date(2026, 4, 1))
    assert (period.from_date, period.to_date) == (date(2026, 1, 1), date(2026, 4, 1))


def test_from_date_defaults_to_ninety_days_before_to_date() -> None:
    """With an end only, the period is the 90 days before it."""
    assert Period.of(None, "2016-05-01").from_date == date(2016, 2, 1)


@pytest.mark.parametrize(
    "text", ["2016-13-01", "01.02.2016", "2016-2-1", "yesterday", "20160201", "2016-W01-1", "２０１６-02-01"]
)
def test_wrong_date_is_refused_with_a_sentence_that_names_it(text: str) -> None:
    """Only YYYY-MM-DD is a date; the answer names the parameter."""
    with pytest.raises(BadRequestError, match="from_date") as refused:
        Period.of(text, None)
    assert refused.value.code == "bad_date"


def test_period_that_ends_before_it_begins_is_refused() -> None:
    """An empty answer would hide the mistake."""
    with pytest.raises(BadRequestError) as refused:
        Period.of("2016-03-01", "2016-02-01")
    assert refused.value.code == "bad_period"


def test_calendar_ends_do_not_overflow() -> None:
    """The first and the last day of the calendar are periods like others."""
    assert Period.of("0001-01-01", "0001-01-01").from_date == date.min
    assert Period.of("9999-12-31", "9999-12-31").day_after == datetime.fromisoformat("9999-12-31")
    assert Period.of(None, "0001-01-02").from_date == date.min


@given(st.text(max_size=12))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    """No text makes anything but a period or a refusal."""
    code = "none"
    try:
        Period.of(text, "9999-12-31")
    except BadRequestError as error:
        code = error.code
    assert code in ("none", "bad_date")


def test_paging_defaults_and_parts() -> None:
    """The limit is 1000 and the offset 0 unless said otherwise, each by itself."""
    assert Paging.of(None) == Paging(1000, 0)
    assert Paging.of('{"limit": 5}') == Paging(5, 0)
    assert Paging.of('{"offset": 7, "limit": null}') == Paging(1000, 7)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "1",
        "null",
        '{"limit": -1}',
        '{"limit": "5"}',
        '{"limit": true}',
        '{"offset": 1e400}',
        '{"limit": 1.5}',
        "[" * 100_000,
    ],
)
def test_wrong_paging_is_refused(text: str) -> None:
    """Anything but an object with whole numbers is refused by name."""
    with pytest.raises(BadRequestError) as refused:
        Paging.of(text)
    assert refused.value.code == "bad_paging"


def test_uid_is_looked_up_by_its_pseudonym(pepper: bytes) -> None:
    """A uid is never looked up as it is: it is pseudonymised; a pseudonym that was shown can be given as well."""
    uid = "4c6cf1d4-6d0f-4a5b-9a43-7f9f6c3d8f01"
    assert installation_keys(pepper, uid) == [installation_key(pepper, uid), uuid.UUID(uid)]
    assert installation_keys(pepper, "no uuid") == [installation_key(pepper, "no uuid")]
    assert installation_keys(b"", "no uuid") == []
