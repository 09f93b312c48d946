"""The generated secrets: made once, kept in one file of mode 600."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from fuel_stat.errors import OperatorError
from fuel_stat.state import read_secrets, write_secrets


def _password() -> str:
    return secrets.token_hex(16)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


#: Every secret and what makes it.
MAKERS: Mapping[str, Callable[[], str]] = {
    "POSTGRES_PASSWORD": _password,
    "ADMIN_PASSWORD": _password,
    "INGEST_PASSWORD": _password,
    "EXTRACT_PASSWORD": _password,
    "BACKUP_PASSWORD": _password,
    "WAREHOUSE_PASSWORD": _password,
    "ANALYTICS_PASSWORD": _password,
    "REPORTS_PASSWORD": _password,
    "AIRFLOW_PASSWORD": _password,
    # HMAC key of the installations' pseudonyms (hex): with another one every node is a new one.
    "PEPPER": lambda: secrets.token_hex(32),
    "AIRFLOW_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
    "AIRFLOW_SECRET_KEY": _password,
    "AIRFLOW_JWT_SECRET": lambda: secrets.token_hex(32),
    "AIRFLOW_FERNET_KEY": _fernet_key,
}


def ensure(folder: Path, *, data_exists: bool) -> dict[str, str]:
    """The secrets, made where they are missing.

    Raises:
        OperatorError: ``secrets_lost`` when there is data but no pepper: a new pepper would silently make
            every installation a new one.
    """
    known = read_secrets(folder)
    if data_exists and "PEPPER" not in known:
        sentence = (
            f"{folder / 'secrets.env'} is missing while data exists: put it back from your copy, "
            "or start over with `make reset`."
        )
        raise OperatorError("secrets_lost", sentence)
    missing = {name: make() for name, make in MAKERS.items() if name not in known}
    if missing:
        write_secrets({**known, **missing}, folder)
    return {**known, **missing}
