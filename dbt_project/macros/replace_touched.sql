{# The incremental strategy "replace_touched": of each touched installation, everything from its from-day on is
   replaced by what the model selects. Unlike delete+insert by key, a day that lost all its rows is emptied too.

   A model that uses it configures
     touched_from: the column of int_installations_touched that says from where (null: untouched), and
     replaced_on:  its own column that is compared with it, or an expression of "replaced." columns. #}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set touched_from = config.require('touched_from') -%}
    {%- set replaced_on = config.require('replaced_on') -%}
    {#- By the rows' places, found installation by installation: joined, the planner takes the days of a large table
        for a third of it, and reads the whole. -#}
    delete from {{ target }} as target
    where target.ctid = any(array(
        select found.place
        from {{ ref('int_installations_touched') }} as touched
        cross join lateral (
            select replaced.ctid as place
            from {{ target }} as replaced
            where
                replaced.installation_key = touched.installation_key
                and {% if 'replaced.' in replaced_on %}{{ replaced_on }}{% else %}replaced.{{ replaced_on }}{% endif %} >= touched.{{ touched_from }}
            offset 0
        ) as found
    ));

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}

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
