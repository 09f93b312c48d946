"""What the API refuses and how it says so: one JSON shape for every error.

``{"status": "error", "code": "unknown_installation", "message": "…"}`` with the status code of the class.
"""

from __future__ import annotations

from typing import ClassVar

from fuel_stat.errors import FuelStatError


class AnalyticsError(FuelStatError):
    """The root: ``status`` is the HTTP answer, ``headers`` go out with it."""

    status: ClassVar[int] = 500
    headers: ClassVar[dict[str, str]] = {}


class BadRequestError(AnalyticsError):
    """400: the request cannot be understood; the sentence names the parameter."""

    status = 400


class UnauthorizedError(AnalyticsError):
    """401: a token is configured and the request carries none that is valid."""

    status = 401
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="fuel-stat"'}


class NotFoundError(AnalyticsError):
    """404: nothing of that name is published."""

    status = 404


class ConflictError(AnalyticsError):
    """409: the report is there but not (or no longer) in the state that the request needs."""

    status = 409


class GoneError(AnalyticsError):
    """410: it was there and was deleted after its time."""

    status = 410


class TooManyError(AnalyticsError):
    """429: more is asked for than will be queued; try again later."""

    status = 429
    headers: ClassVar[dict[str, str]] = {"Retry-After": "60"}


class UnavailableError(AnalyticsError):
    """503: a database cannot answer now, or all export slots are taken; try again."""

    status = 503
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}
