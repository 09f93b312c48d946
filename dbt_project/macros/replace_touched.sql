{# The incremental strategy "replace_touched": of each touched installation, everything from its from-day on is
   replaced by what the model selects. Unlike delete+insert by key, a day that lost all its rows is emptied too.

   A model that uses it configures
     touched_from: the column of int_installations_touched that says from where (null: untouched), and
     replaced_on:  its own column that is compared with it. #}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set touched_from = config.require('touched_from') -%}
    delete from {{ target }} as replaced
    using {{ ref('int_installations_touched') }} as touched
    where
        replaced.installation_key = touched.installation_key
        and replaced.{{ config.require('replaced_on') }} >= touched.{{ touched_from }};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}

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
