{# The incremental strategy "replace_touched": of each touched installation, everything from its from-day on is
   replaced by what the model selects. Unlike delete+insert by key, a day that lost all its rows is emptied too.

   A model that uses it configures
     touched_from: the column of int_installations_touched that says from where (null: untouched),
     replaced_on:  its own column that is compared with it,
     open_ended:   true where that column is null in rows that go on, and
     lasts_days:   how many days a row is about after the one in that column. #}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {#- By the rows' places, found installation by installation: joined, the planner takes the days of a large table
        for a third of it, and reads the whole. -#}
    delete from {{ target }} as target
    where target.ctid = any(array(
        select found.place
        from {{ ref('int_installations_touched') }} as touched
        cross join lateral (
            select replaced.ctid as place
            from {{ target }} as replaced
            where {{ is_replaced('replaced', config) }}
            offset 0
        ) as found
    ));

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}

{# Is this row of a touched installation one that a run replaces? Written so that an index finds those alone. #}
{% macro is_replaced(row, model_config) -%}
{%- set touched_from, replaced_on = model_config.get('touched_from'), model_config.get('replaced_on') -%}
{%- set lasts_days = model_config.get('lasts_days') -%}
{{ row }}.installation_key = touched.installation_key
and touched.{{ touched_from }} is not null
and (
    {{ row }}.{{ replaced_on }} >= touched.{{ touched_from }} {%- if lasts_days %} - {{ lasts_days }}{% endif %}
    {%- if model_config.get('open_ended') %}
    or {{ row }}.{{ replaced_on }} is null
    {%- endif %}
)
{%- endmacro %}

{# The rows of a relation that a run must look at: from its from-day on, installation by installation. The subquery is
   not to be flattened: what the relation unpacks is unpacked for these rows only, however many there are. #}
{% macro touched_rows(relation, touched_from, since) -%}
(
    select
        found.*,
        touched.{{ touched_from }}
    from {{ ref('int_installations_touched') }} as touched
    cross join lateral (
        select scanned.*
        from {{ relation }} as scanned
        where
            scanned.installation_key = touched.installation_key
            and {{ since }}
        offset 0
    ) as found
    where touched.{{ touched_from }} is not null
)
{%- endmacro %}

{# The rows of a relation that go with a row of the query around it, looked up one by one for a "cross join lateral":
   where few of many are wanted, a join would have the planner read the whole. #}
{% macro looked_up(relation, condition) -%}
(
    select found.*
    from {{ relation }} as found
    where {{ condition }}
    offset 0
)
{%- endmacro %}

{% macro touched_structures() -%}
{{ touched_rows(
    ref('stg_raw__installation_structures'), 'structure_from', 'scanned.received_at >= touched.structure_from'
) }}
{%- endmacro %}

{# A relation as the previous build left it, or none: for what must be known about the past without a cycle. #}
{% macro previous(name) -%}
{%- if execute -%}
    {{- return(adapter.get_relation(database=target.database, schema=target.schema, identifier=name)) -}}
{%- endif -%}
{%- endmacro %}

{# Is there a past to build upon? Not on a first build, nor on a full refresh. #}
{% macro has_past() -%}
{{- return(execute and previous('fct_action') is not none and not flags.FULL_REFRESH) -}}
{%- endmacro %}
