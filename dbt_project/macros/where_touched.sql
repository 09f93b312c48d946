{# Restricts a test of an incremental model to what this run replaced. On a first build all is looked at. #}
{% macro where_touched(alias, touched_from, replaced_on) -%}
{%- if touched_from and execute and touched_anything() -%}
where exists (
        select 1
        from {{ target.schema }}.int_installations_touched as touched
        where
            touched.installation_key = {{ alias }}.installation_key
            and touched.{{ touched_from }} <= {{ alias }}.{{ replaced_on }}
    )
{%- endif -%}
{%- endmacro %}

{% macro touched_anything() -%}
{%- if previous('int_installations_touched') is none -%}{{- return(false) -}}{%- endif -%}
{{- return(run_query('select exists (select 1 from ' ~ target.schema ~ '.int_installations_touched)').columns[0].values()[0]) -}}
{%- endmacro %}
