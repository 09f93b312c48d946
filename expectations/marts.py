"""The suite of the way out: what was built, before any reader sees it.

Keys, reconciliation to raw, filtered installations kept out of reports, distributions that drift from last week, and
no identifying value anywhere.
"""

from __future__ import annotations

from expectations.measures import Measure, Subject, bad_rows
from expectations.raw import IDENTIFYING

INSTALLATIONS = Subject(
    "build.dim_installation",
    "build.dim_installation as d",
    (
        Measure(
            "installation_key_unique",
            "count(*) - count(distinct installation_key)",
            "One row an installation.",
            offends="(select count(*) from build.dim_installation as o"
            " where o.installation_key = d.installation_key) > 1",
            offender="installation_key",
        ),
        bad_rows(
            "installation_contact_in_order",
            "first_contact_day > last_contact_day",
            "First contact, then last.",
        ),
        Measure(
            "installations_reconcile_with_contacts",
            "abs(count(*) - (select count(distinct c.installation_key) from raw.contact as c"
            " where c.load_id in (select p.load_id from ops.pinned_load as p)))",
            "Every node that was heard from is an installation, and nobody else.",
            "warn",
        ),
        Measure(
            "installations_not_lost_share",
            "case when (select count(*) from ops.published) = 0 then 0 else greatest(0,"
            " 1 - count(*) / nullif((select t.rows_total::numeric from ops.publication_table as t"
            " inner join ops.published as shown using (publication_id)"
            " where t.table_name = 'dim_installation'), 0)) end",
            "More than a tenth of the published installations are gone.",
            "warn",
            maximum=0.1,
        ),
    ),
)

ACTIONS = Subject(
    "build.fct_action",
    "build.fct_action as f",
    (
        Measure(
            "action_key_unique",
            "count(*) - count(distinct (installation_key, external_id))",
            "One row a finished action: the installation's own number is its key.",
        ),
        Measure(
            "actions_reconcile_with_raw",
            "abs(count(*) - (select count(*) from (select distinct installation_key, record ->> 'external_id'"
            " from raw.action_logs where load_id in (select load_id from ops.pinned_load)) as r))",
            "Every distinct action log in raw is one fact, and there are no others.",
        ),
        bad_rows(
            "actions_have_installation",
            "not exists (select from build.dim_installation as d where d.installation_key = f.installation_key)",
            "A fact points to an installation that is not there.",
            offender="installation_key || ' ' || external_id",
        ),
        bad_rows(
            "actions_within_clamp",
            "event_day > (received_at at time zone 'UTC' + interval '1 hour')::date"
            " or event_day < (received_at at time zone 'UTC' - interval '1 year')::date",
            "The day of an event lies within [received - 1 year, received + 1 hour]: the node's clock is clamped.",
            offender="installation_key || ' ' || external_id",
        ),
        bad_rows(
            "actions_duration_positive",
            "duration_seconds < 0",
            "A duration is never negative.",
            offender="installation_key || ' ' || external_id",
        ),
    ),
)

WORKLOADS = Subject(
    "build.fct_workload_record",
    "build.fct_workload_record as w",
    (
        Measure(
            "workload_key_unique",
            "count(*) - count(distinct (installation_key, external_id, resource_type))",
            "One row a workload record: its newest version.",
        ),
        Measure(
            "workloads_reconcile_with_raw",
            "abs(count(*) - (select count(*) from (select distinct installation_key, record ->> 'id',"
            " record ->> 'resource_type' from raw.oswl_stats"
            " where load_id in (select load_id from ops.pinned_load)) as r))",
            "Every distinct workload in raw is one fact, and there are no others.",
        ),
    ),
)

REPORTS = Subject(
    "build.rpt_installation_distribution",
    "build.rpt_installation_distribution as r",
    (
        Measure(
            "reports_leave_filtered_out",
            "abs(coalesce(sum(amount) filter (where measure = 'installations'), 0)"
            " - (select count(*) from build.dim_installation as d where not d.is_filtered and d.has_structure))",
            "The reports count exactly the installations that are not filtered.",
        ),
    ),
)

_MIX = """(
    select coalesce(sum(abs(recent_share - earlier_share)) / 2, 0) as distance,
        coalesce(min(recent_total), 0) as recent_total, coalesce(min(earlier_total), 0) as earlier_total
    from (
        select
            recent::numeric / nullif(sum(recent) over (), 0) as recent_share,
            earlier::numeric / nullif(sum(earlier) over (), 0) as earlier_share,
            sum(recent) over () as recent_total,
            sum(earlier) over () as earlier_total
        from (
            select
                {value} as value,
                count(*) filter (where {day} > today.day - 7) as recent,
                count(*) filter (where {day} <= today.day - 7) as earlier
            from {relation} cross join (select (now() at time zone 'UTC')::date as day) as today
            where {day} > today.day - 14 and {day} <= today.day
            group by 1
        ) as counted
    ) as shares
) as m"""


def _drift(name: str, relation: str, value: str, day: str, because: str) -> Subject:
    """Total variation distance (0: the same mix, 1: nothing in common) of this week's mix to last week's."""
    return Subject(
        relation.split(" ", maxsplit=1)[0],
        _MIX.format(relation=relation, value=value, day=day),
        (
            Measure(
                name,
                "max(case when recent_total >= 500 and earlier_total >= 500 then distance else 0 end)",
                because,
                "warn",
                maximum=0.35,
            ),
        ),
    )


DRIFT = (
    _drift(
        "action_mix_drift",
        "build.fct_action as a",
        "coalesce(a.action_name, '')",
        "a.event_day",
        "The mix of actions of the last seven days differs strongly from the week before.",
    ),
    _drift(
        "workload_mix_drift",
        "build.fct_workload_record as w",
        "w.resource_type",
        "w.record_day",
        "The mix of workload types of the last seven days differs strongly from the week before.",
    ),
)


def identifying(columns: list[tuple[str, str]]) -> Subject:
    """Rows with an identifying value in any text or JSON column: ``columns`` are (table, column) of schema build.

    Large tables are looked at by a sample of their pages: raw looked at every record on its way in.
    """
    parts = " union all ".join(
        f"select '{table}.{column}' as place, count(*) as found from build.{table} as t tablesample system"
        f" (least(100, 100 * 200000.0 / greatest((select reltuples from pg_class"
        f" where oid = 'build.{table}'::regclass), 1))) where t.{column}::text ~* '{IDENTIFYING}'"
        for table, column in columns
    )
    relation = f"({parts or 'select null as place, 0 as found'}) as i"
    return Subject(
        "build",
        relation,
        (
            Measure(
                "nothing_identifies",
                "sum(found)",
                "A mail address, hardware address or private key stands in a mart.",
                offends="found > 0",
                offender="place",
            ),
        ),
    )


SUBJECTS = (INSTALLATIONS, ACTIONS, WORKLOADS, REPORTS, *DRIFT)
