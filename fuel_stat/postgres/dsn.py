"""Addresses of databases as libpq URLs, and as SQLAlchemy URLs with the driver spelled out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Dsn:
    """The parts of an address; ``str()`` gives the libpq URL, password included."""

    host: str
    port: int
    database: str
    user: str
    password: str = ""

    def __str__(self) -> str:
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        return (
            f"postgresql://{quote(self.user, safe='')}{secret}@{self.host}:{self.port}/{quote(self.database)}"
        )

    @property
    def shown(self) -> str:
        """The address without its password, for people."""
        return str(replace(self, password=""))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a libpq URL.

        Raises:
            ValueError: it is not a ``postgresql://`` URL with host, port, user and database.
        """
        parts = urlsplit(url)
        if parts.scheme.split("+")[0] not in ("postgresql", "postgres") or not parts.hostname:
            raise ValueError("expected postgresql://user:password@host:port/database")
        return cls(
            parts.hostname,
            parts.port or 5432,
            unquote(parts.path.lstrip("/")),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )


def sqlalchemy_url(dsn: str, driver: str = "psycopg2") -> str:
    """The same address for SQLAlchemy: a bare ``postgresql://`` would mean whichever driver is its default."""
    return str(Dsn.parse(dsn)).replace("postgresql://", f"postgresql+{driver}://", 1)
