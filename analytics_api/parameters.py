"""What requests carry: dates, paging, installations. Wrong values are answered by a sentence that names them."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import falcon

from analytics_api.errors import BadRequestError
from fuel_stat.identity import installation_key

DEFAULT_DAYS = 90
DEFAULT_LIMIT = 1000
LARGEST = 2**53
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Period:
    """A span of UTC days, both ends included."""

    from_date: date
    to_date: date

    @classmethod
    def of(cls, from_text: str | None, to_text: str | None, today: date | None = None) -> Period:
        """From two texts ``YYYY-MM-DD``; by default the 90 days back to today.

        Raises:
            BadRequestError: ``bad_date``, ``bad_period`` when it ends before it begins.
        """
        to_date = day_of("to_date", to_text) or today or datetime.now(UTC).date()
        from_date = day_of("from_date", from_text) or _back(to_date)
        if from_date > to_date:
            raise BadRequestError("bad_period", f"from_date {from_date} is after to_date {to_date}.")
        return cls(from_date, to_date)

    @property
    def day_after(self) -> datetime:
        """The end of ``to_date`` as a naive UTC time; far-off ends are clipped to the calendar's."""
        last = min(self.to_date, date.max - timedelta(days=1))
        return datetime.combine(last + timedelta(days=1), time.min)


def _back(day: date) -> date:
    return date.fromordinal(max(day.toordinal() - DEFAULT_DAYS, 1))


def day_of(name: str, text: str | None) -> date | None:
    """A day written ``YYYY-MM-DD``; None for nothing.

    Raises:
        BadRequestError: ``bad_date``; the sentence names the parameter.
    """
    if text is None or text == "":
        return None
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        sentence = f"{name} is {text[:40]!r}: a day is written YYYY-MM-DD, for example 2026-01-31."
        raise BadRequestError("bad_date", sentence) from None


def period_of(request: falcon.Request) -> Period:
    """The period of a request's ``from_date`` and ``to_date``.

    Raises:
        BadRequestError: see :meth:`Period.of`.
    """
    return Period.of(request.get_param("from_date"), request.get_param("to_date"))


@dataclass(frozen=True)
class Paging:
    """Which part of a list is wanted."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0

    @classmethod
    def of(cls, text: str | None) -> Paging:
        """From ``paging_params``, a JSON object with ``limit`` and ``offset``, both optional.

        Raises:
            BadRequestError: ``bad_paging``.
        """
        if text is None or text == "":
            return cls()
        try:
            given = json.loads(text)
            values = {"limit": DEFAULT_LIMIT, "offset": 0} | {
                key: given[key] for key in ("limit", "offset") if given.get(key) is not None
            }
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise _bad_paging() from None
        if any(type(value) is not int or not 0 <= value <= LARGEST for value in values.values()):
            raise _bad_paging()
        return cls(values["limit"], values["offset"])


def _bad_paging() -> BadRequestError:
    sentence = (
        'paging_params is a JSON object like {"limit": 100, "offset": 0}, both whole numbers from 0 on.'
    )
    return BadRequestError("bad_paging", sentence)


def installation_keys(pepper: bytes, uid: str) -> list[uuid.UUID]:
    """Under which pseudonyms an installation may be known: that of its uid, and what was given if it is one.

    The exports show pseudonyms, so an analyst may look up either.
    """
    keys = [installation_key(pepper, uid)] if pepper else []
    with contextlib.suppress(ValueError):
        keys.append(uuid.UUID(uid))
    return keys
