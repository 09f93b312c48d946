"""What readers see, counted right after a publication: the last stage of the integrity report.

The check before a publication compares what was built; what is published then is still the version before. This one
counts the places again that were checked for the publication, now in what readers see, and compares them with the
facts that were built: a difference means that staging or the switch lost or invented a row.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from fuel_stat import log
from warehouse import integrity_stages
from warehouse.integrity_stages import FACTS, Tally

_log = log.get(__name__)
_NOTHING = Tally(0, 0)

_CHECKED = """
select i.kind, i.received_day, i.tier, i.fact_count, i.fact_hash
from ops.integrity as i
where i.checked_at >= (select p.started_at from ops.publication as p where p.publication_id = %s)
    and i.kind = any(%s) and i.fact_count is not null
    -- Readers may see another one already: then there is nothing to say about this one.
    and (select s.publication_id from ops.published as s) = %s
"""
_NOTE = """
update ops.integrity as i
set published_count = %(count)s, published_hash = %(hash)s,
    agrees = i.agrees and %(equal)s,
    disagreement = case when %(equal)s then i.disagreement else concat_ws('; ', i.disagreement, %(sentence)s::text) end
where (i.kind, i.received_day, i.tier) = (%(kind)s, %(day)s, %(tier)s)
"""


def note_published(connection: psycopg.Connection[Any], publication_id: int) -> list[str]:
    """Count what readers see at the places that were checked for a publication, and keep it in ``ops.integrity``.

    Args:
        connection: to the analytic database, as its owner; one transaction is opened.

    Returns:
        A sentence for each place where the published records are not those of the audited facts.
    """
    mismatches: list[str] = []
    with connection.transaction():
        facts: dict[str, dict[tuple[str, date, int], Tally]] = {}
        for kind, day, tier, count, total in connection.execute(
            _CHECKED, (publication_id, list(FACTS), publication_id)
        ):
            facts.setdefault(kind, {})[kind, day, tier] = Tally(count, int(total))
        for kind, built in facts.items():
            days = sorted({day for _, day, _ in built})
            seen = integrity_stages.fact(connection, kind, "marts", days)
            if seen is None:
                continue  # the kind's fact is no published table: structures are published as what they say
            for place, fact in built.items():
                mismatches += _note(connection, place, fact, seen.get(place, _NOTHING))
    _log.info("published_counted", publication=publication_id, mismatches=mismatches)
    return mismatches


def _note(
    connection: psycopg.Connection[Any], place: tuple[str, date, int], fact: Tally, published: Tally
) -> list[str]:
    kind, day, tier = place
    sentence = f"{kind} {day} T{tier}: {published.count} published, {fact.count} in the audited facts"
    equal = published == fact
    connection.execute(
        _NOTE,
        {
            "count": published.count, "hash": published.hash, "equal": equal, "sentence": sentence,
            "kind": kind, "day": day, "tier": tier,
        },
    )  # fmt: skip
    return [] if equal else [sentence]
