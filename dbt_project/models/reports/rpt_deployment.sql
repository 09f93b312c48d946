select
    deployments.release,
    deployments.size_class,
    count(*) as attempts,
    count(*) filter (where deployments.is_failed) as failures,
    count(*) filter (where not deployments.is_failed) as successes,
    round(count(*) filter (where deployments.is_failed) / nullif(count(deployments.is_failed), 0)::numeric, 4)
        as failure_rate,
    (percentile_cont(0.5) within group (order by deployments.duration_seconds))::numeric(14, 3)
        as median_duration_seconds,
    (percentile_cont(0.95) within group (order by deployments.duration_seconds))::numeric(14, 3)
        as p95_duration_seconds,
    round(avg(deployments.failures_before) filter (where not deployments.is_failed), 4) as mean_failures_before_success,
    count(distinct deployments.cluster_key) as environments,
    count(distinct deployments.installation_key) as installations
from {{ ref('fct_deployment') }} as deployments
inner join {{ ref('dim_installation') }} as installations
    on deployments.installation_key = installations.installation_key
where not installations.is_filtered
group by deployments.release, deployments.size_class
