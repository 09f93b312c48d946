{# What was just built is joined at once: without statistics the planner guesses, and guesses nested loops. What was
   there before is looked at again when a tenth of it has changed, as autovacuum would. A sample of 7,500 rows says
   what the models need; the server's own target reads four times as much of a large table.
   After the commit, for which the changes were told: before it they would count as made since, and autovacuum would
   do all of it again. #}
{% macro analyze_table() -%}
{%- if model.config.materialized != 'view' -%}
do $$
begin
    if (
        select tables.reltuples < 0 or changed.n_mod_since_analyze > tables.reltuples / 10
        from pg_class as tables
        inner join pg_stat_all_tables as changed on tables.oid = changed.relid
        where tables.oid = '{{ this }}'::regclass
    ) then
        set local default_statistics_target = 25;
        analyze {{ this }};
    end if;
end
$$
{%- endif -%}
{%- endmacro %}

{# The last statement before the commit: the numbers of changed rows are told with it, not when the session idles. #}
{% macro tell_changes() -%}
{%- if model.config.materialized != 'view' -%}select pg_stat_force_next_flush(){%- endif -%}
{%- endmacro %}
