"""Made-up records of a fleet, landed as one load in an analytic database: what the builds of the marts are measured on."""

# ruff: noqa: E501 - the made-up records are dense

from __future__ import annotations

import psycopg

INSTALLATIONS = 2000

# One part of history: :load, its first day :first, days :days, :actions and :workloads. Ids grow with the load.
RECORDS = """
insert into ops.load (load_id, reason) overriding system value values (%(load)s, 'bench');
insert into ops.pinned_load values (%(load)s, true, 0);
insert into raw.contact
select md5(i::text)::uuid, %(first)s::date + d, 0, (%(first)s::date + d)::timestamptz + interval '8 hours', %(load)s
from generate_series(1, %(installations)s) as i, generate_series(0, %(days)s - 1) as d where (i + d) %% 3 > 0;
insert into raw.action_logs
select gen_random_uuid(), 0, %(load)s, md5((n %% %(installations)s + 1)::text)::uuid, at + interval '5 minutes', 0,
    jsonb_build_object('external_id', %(load)s::bigint * 1000000 + n, 'body', jsonb_build_object(
        'action_type', case when n %% 2 = 0 then 'nailgun_task' else 'http_request' end, 'action_group', 'cluster_changes',
        'action_name', (array['deploy', 'provision', 'verify_networks', 'check_networks', 'update', 'dump', 'deployment',
            'cluster_instance', 'cluster_collection', 'settings', 'tasks_instance', 'release'])[n %% 12 + 1],
        'start_timestamp', to_char(at - interval '9 minutes', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        'end_timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'cluster_id', n %% 3 + 1,
        'actor_id', md5(n::text), 'is_sent', false, 'task_uuid', md5((n + 1)::text), 'additional_info', jsonb_build_object(
            'ended_with_status', case when n %% 5 = 0 then 'error' else 'ready' end, 'operation', 'deploy',
            'parent_task_id', null, 'nodes_from_resp', '[1, 2, 3]'::jsonb, 'message', repeat(md5(n::text), 8),
            'response_data', jsonb_build_object('status', '200 OK'))))
from (select n, %(first)s::timestamp at time zone 'UTC' + interval '1 day' * (%(days)s * n / %(actions)s::float8) as at
    from generate_series(1, %(actions)s) as n) as made;
insert into raw.oswl_stats
select gen_random_uuid(), 0, %(load)s, md5((n * 7 %% %(installations)s + 1)::text)::uuid, at, 0,
    jsonb_build_object('id', %(load)s::bigint * 1000000 + n, 'cluster_id', n %% 3 + 1, 'created_date', at::date,
        'updated_time', '10:00:00', 'resource_type', (array['vm', 'volume', 'tenant'])[n %% 3 + 1],
        'resource_checksum', md5(n::text), 'resource_data', jsonb_build_object('removed', '[]'::jsonb, 'modified', '[]'::jsonb,
        'current', (select jsonb_agg(jsonb_build_object('id', md5((n + r)::text), 'status', 'ACTIVE', 'tenant_id', md5(r::text)))
            from generate_series(1, 5) as r), 'added', jsonb_build_array(jsonb_build_object('id', md5((n + 1)::text), 'time', '9'))))
from (select n, %(first)s::timestamp at time zone 'UTC' + interval '1 day' * (%(days)s * n / %(workloads)s::float8) as at
    from generate_series(1, %(workloads)s) as n) as made;
insert into raw.installation_structure
select gen_random_uuid(), 0, %(load)s, md5(i::text)::uuid,
    %(first)s::timestamp at time zone 'UTC' + interval '1 day' * (v * %(days)s / %(versions)s::float8) + interval '1 second' * i, 0,
    jsonb_build_object('fuel_release', jsonb_build_object('release', (array['7.0', '8.0', '9.0'])[i %% 3 + 1]),
        'fuel_packages', '[]'::jsonb, 'clusters_num', 3, 'clusters', (select jsonb_agg(jsonb_build_object('id', c,
            'status', (array['operational', 'error', 'new'])[(c + v + %(load)s) %% 3 + 1], 'nodes_num', 2,
            'release', jsonb_build_object('os', 'Ubuntu', 'version', 'x'), 'attributes', jsonb_build_object('libvirt_type', 'kvm'),
            'nodes', (select jsonb_agg(jsonb_build_object('id', c * 10 + k, 'roles', '["controller", "cinder"]'::jsonb, 'os', 'ubuntu',
                'meta', jsonb_build_object('system', jsonb_build_object('manufacturer', 'Dell', 'product', 'R' || k),
                'memory', jsonb_build_object('total', 64)))) from generate_series(1, 2) as k)))
            from generate_series(1, 3) as c))
from generate_series(1, %(installations)s) as i, generate_series(0, %(versions)s - 1) as v;
"""


def land(dsn: str, load: int, first: str, days: int, actions: int, workloads: int, versions: int) -> None:
    """One load of records over ``days`` days from ``first``; only it is new."""
    values = {
        "load": load, "first": first, "days": days, "actions": actions, "workloads": workloads,
        "versions": versions, "installations": INSTALLATIONS,
    }  # fmt: skip
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("update ops.pinned_load set is_new = false")
        connection.execute(RECORDS, values)
        connection.execute("vacuum (analyze)")
