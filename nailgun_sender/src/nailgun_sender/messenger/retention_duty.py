"""Expiry by the sending process, for nodes whose recorder does not run."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from .. import retention
from ..settings import Settings
from ..store import Store

log = logging.getLogger("nailgun_sender.messenger")


def apply_quietly(store: Store, settings: Settings) -> None:
    """Expire what was sent long ago; a database that cannot do it now is asked again after the next cycle."""
    try:
        retention.apply(store, settings)
    except sa.exc.SQLAlchemyError as error:
        log.warning("expiry did not work: %s", type(error).__name__)
