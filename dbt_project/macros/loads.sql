{# Only rows of the loads that were pinned before this build began: a load that arrives meanwhile is not in it. #}
{% macro pinned_loads() -%}
(select pinned_load.load_id from {{ source('ops', 'pinned_load') }} as pinned_load)
{%- endmacro %}

{# The loads that no finished build has covered: pinned before the build, so they are looked up while it compiles. As a
   list and not a subquery, because of a list the planner knows how few rows it brings. #}
{% macro new_loads() -%}
{%- set found = run_query(
    'select pinned_load.load_id from ' ~ source('ops', 'pinned_load') ~ ' as pinned_load where pinned_load.is_new order by 1'
).columns[0].values() if execute else [] -%}
({{ found | join(', ') if found else 'null' }})
{%- endmacro %}

{# The installations of a raw table, by skipping along its index: milliseconds whatever the table's size. #}
{% macro distinct_installations(relation) -%}
with recursive skipped as (
    (
        select rows_of.installation_key
        from {{ relation }} as rows_of
        where rows_of.load_id in {{ pinned_loads() }}
        order by rows_of.installation_key
        limit 1
    )
    union all
    select (
        select rows_of.installation_key
        from {{ relation }} as rows_of
        where
            rows_of.installation_key > skipped.installation_key
            and rows_of.load_id in {{ pinned_loads() }}
        order by rows_of.installation_key
        limit 1
    ) as installation_key
    from skipped
    where skipped.installation_key is not null
)

select skipped.installation_key from skipped where skipped.installation_key is not null
{%- endmacro %}
