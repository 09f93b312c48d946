"""The suite of the way in: the records of the loads that a publication covers for the first time.

Shape, completeness against the source, freshness, value domains per release, volume within the usual band, and
nothing that identifies a person or a machine.
"""

from __future__ import annotations

from expectations.measures import Measure, Subject, bad_rows

_LANDING = "landing_id || ' position ' || position"

# An e-mail address, a MAC address, a private key. Never an installation: the uid itself is not in this database.
IDENTIFYING = (
    r"[a-z0-9._+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}"
    r"|\m([0-9a-f]{2}[:-]){5}[0-9a-f]{2}\M"
    r"|-----begin [a-z ]*private key"
)


def _new(kind: str) -> str:
    return (
        f"(select * from raw.{kind} where load_id in (select load_id from ops.pinned_load where is_new)) as r"
    )


def _common(kind: str) -> tuple[Measure, ...]:
    return (
        bad_rows(
            f"{kind}_is_object",
            "jsonb_typeof(record) <> 'object'",
            "A record is a JSON object.",
            offender=_LANDING,
        ),
        bad_rows(
            f"{kind}_received_in_past",
            "received_at > clock_timestamp() + interval '5 minutes'",
            "The server's own receive time cannot lie ahead: a clock is wrong.",
            offender=_LANDING,
        ),
        bad_rows(
            f"{kind}_tier_known", "tier not between 0 and 2", "Trust tiers are 0, 1 and 2.", offender=_LANDING
        ),
        bad_rows(
            f"{kind}_without_uid",
            "record ? 'master_node_uid'",
            "The warehouse knows installations by pseudonym only.",
            offender=_LANDING,
        ),
        bad_rows(
            f"{kind}_identifies_nobody",
            f"record::text ~* '{IDENTIFYING}'",
            "A mail address, hardware address or private key got through the collector's redaction.",
            offender=_LANDING,
        ),
    )


def _clusters_have(path: str, condition: str, release: str = "") -> str:
    """A cluster has a text at ``path`` that fulfils a JSON path condition, in structures of these releases."""
    found = f"record @? '$.clusters[*].{path} ? (@.type() == \"string\" && {condition})'"
    return f"{found} and (record #>> '{{fuel_release,release}}') ~ '{release}'" if release else found


def _among(*names: str) -> str:
    return " && ".join(f'@ != "{name}"' for name in names)


# Environments got "partially_deployed" with 9.0; CentOS went with 7.0.
_STATUSES = ("new", "deployment", "operational", "error", "stopped", "remove", "update", "update_error")
_BEFORE_9 = r"^[678]\."
_FROM_7 = r"^([789]|10)\."

ACTION_LOGS = Subject(
    "raw.action_logs",
    _new("action_logs"),
    (
        *_common("action_logs"),
        bad_rows(
            "action_logs_external_id_is_integer",
            "jsonb_typeof(record -> 'external_id') is distinct from 'number'"
            " or (record ->> 'external_id')::numeric <> trunc((record ->> 'external_id')::numeric)",
            "The key of an action log is the node's own integer.",
            offender=_LANDING,
        ),
        bad_rows(
            "action_logs_body_is_object",
            "jsonb_typeof(record -> 'body') is distinct from 'object'",
            "An action log has a body.",
            offender=_LANDING,
        ),
        bad_rows(
            "action_logs_action_type_known",
            "(record #>> '{body,action_type}') is distinct from 'http_request'"
            " and (record #>> '{body,action_type}') is distinct from 'nailgun_task'",
            "An action is a request or a task.",
            offender=_LANDING,
        ),
        bad_rows(
            "action_logs_tasks_finished",
            "record #>> '{body,action_type}' = 'nailgun_task'"
            " and coalesce(record #>> '{body,end_timestamp}', '') = ''",
            "Unfinished tasks never count: the collector skips them.",
            offender=_LANDING,
        ),
        Measure(
            "action_logs_with_name_share",
            "coalesce(avg(((record #>> '{body,action_name}') is not null)::int), 1)",
            "Nearly every action log names its action.",
            "warn",
            maximum=None,
            minimum=0.9,
        ),
    ),
)

STRUCTURES = Subject(
    "raw.installation_structure",
    _new("installation_structure"),
    (
        *_common("installation_structure"),
        bad_rows(
            "structures_have_clusters",
            "jsonb_typeof(record -> 'clusters') is distinct from 'array'",
            "A structure lists its clusters.",
            offender=_LANDING,
        ),
        bad_rows(
            "structures_release_known",
            "(record #>> '{fuel_release,release}') !~ '^(6|7|8|9|10)\\.[0-9]'",
            "Fuel releases 6.0 to 10.0 are known: another one needs a look at the rules of filtering.",
            severity="warn",
            offender=_LANDING,
        ),
        bad_rows(
            "structures_identified_by_release",
            "(record #>> '{fuel_release,release}') ~ '^[67]\\.[0-9]'"
            " and not (record -> 'fuel_release' ? 'build_id')"
            " or (record #>> '{fuel_release,release}') ~ '^(8|9|10)\\.[0-9]'"
            " and not (record ? 'fuel_packages' or record -> 'fuel_release' ? 'build_id')",
            "Before 8.0 a structure carries build_id, from 8.0 on fuel_packages: filtering by build needs it.",
            severity="warn",
            offender=_LANDING,
        ),
    ),
)

DOMAINS = Subject(
    "raw.installation_structure",
    _new("installation_structure"),
    (
        bad_rows(
            "structures_statuses_of_release",
            _clusters_have("status", _among(*_STATUSES, "partially_deployed"))
            + " or "
            + _clusters_have("status", '@ == "partially_deployed"', _BEFORE_9),
            "An environment's status is one that its release knows: another one is counted as not operable.",
            severity="warn",
            offender=_LANDING,
        ),
        bad_rows(
            "structures_modes_known",
            _clusters_have("mode", _among("multinode", "ha_compact", "ha_full")),
            "The modes of deployment are multinode, ha_compact and ha_full.",
            severity="warn",
            offender=_LANDING,
        ),
        bad_rows(
            "structures_oses_of_release",
            _clusters_have("release.os", _among("Ubuntu", "CentOS"))
            + " or "
            + _clusters_have("release.os", '@ == "CentOS"', _FROM_7),
            "Environments run on Ubuntu, before 7.0 also on CentOS.",
            severity="warn",
            offender=_LANDING,
        ),
    ),
)

WORKLOADS = Subject(
    "raw.oswl_stats",
    _new("oswl_stats"),
    (
        *_common("oswl_stats"),
        bad_rows(
            "workloads_resource_type_known",
            "coalesce(record ->> 'resource_type', '') not in ('vm', 'tenant', 'volume', 'security_group',"
            " 'keystone_user', 'flavor', 'cluster_stats', 'image')",
            "Resource types are those of the contract.",
            offender=_LANDING,
        ),
        bad_rows(
            "workloads_data_complete",
            "not coalesce(record -> 'resource_data' ?& array['added', 'current', 'removed', 'modified'], false)",
            "A workload record has added, current, removed and modified.",
            offender=_LANDING,
        ),
    ),
)

COMPLETENESS = Subject(
    "ops.load",
    """(
        select
            w.load_id || ' ' || w.kind as subject,
            w.records,
            case w.kind
                when 'action_logs' then (select count(*) from raw.action_logs as r where r.load_id = w.load_id)
                when 'oswl_stats' then (select count(*) from raw.oswl_stats as r where r.load_id = w.load_id)
                when 'installation_structure' then (
                    select count(*) from raw.installation_structure as r where r.load_id = w.load_id
                )
            end as stored
        from (
            select n.load_id, n.kind, sum(n.records) as records from ops.load_window as n
            inner join ops.load as l on n.load_id = l.load_id and l.mode = 'window' and l.superseded_by is null
            where n.load_id in (select p.load_id from ops.pinned_load as p where p.is_new)
            and n.kind in ('action_logs', 'oswl_stats', 'installation_structure')
            group by n.load_id, n.kind
        ) as w
    ) as c""",
    (
        Measure(
            "loads_hold_what_the_source_said",
            "count(*) filter (where stored < records)",
            "A load has fewer rows in raw than the collector's ledger gave its window.",
            offends="stored < records",
            offender="'load ' || subject",
        ),
    ),
)

VOLUME = Subject(
    "ops.load_window",
    """(
        select
            (select count(*) from ops.load where unreadable > 0 and load_id in
                (select load_id from ops.pinned_load where is_new)) as unreadable,
            (select extract(epoch from now() - max(finished_at)) / 60 from ops.load where state = 'loaded') as age,
            coalesce(sum(d.records) filter (where d.received_day = today.day - 1), 0) as yesterday,
            coalesce(percentile_cont(0.5) within group (order by d.records)
                filter (where d.received_day between today.day - 15 and today.day - 2), 0) as usual,
            count(*) filter (where d.received_day between today.day - 15 and today.day - 2) as days
        from (select (now() at time zone 'UTC')::date as day) as today
        left join (
            select received_day, sum(records) as records from ops.raw_seal group by received_day
        ) as d on true
    ) as v""",
    (
        Measure(
            "loads_age_minutes",
            "max(age)",
            "The last extraction is older than an hour: the standby may be down.",
            "warn",
            maximum=60,
        ),
        Measure(
            "loads_unreadable",
            "max(unreadable)",
            "A landed request could not be taken apart; it is kept where it is.",
            "warn",
        ),
        Measure(
            "volume_of_yesterday_against_usual",
            "max(case when days >= 7 and usual >= 100 then yesterday / usual else 1 end)",
            "Yesterday brought less than a third or more than three times the median of the two weeks before.",
            "warn",
            maximum=3,
            minimum=1 / 3,
        ),
    ),
)

SUBJECTS = (ACTION_LOGS, STRUCTURES, DOMAINS, WORKLOADS, COMPLETENESS, VOLUME)
