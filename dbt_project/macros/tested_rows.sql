{# The rows of an incremental model that this run replaced, for its tests; all rows on a first build. #}
{% macro tested_rows(model, touched_from, replaced_on) -%}
{%- if touched_from and execute and touched_anything() -%}
(
        select found.*
        from {{ target.schema }}.int_installations_touched as touched
        cross join lateral (
            select tested.*
            from {{ model }} as tested
            where
                tested.installation_key = touched.installation_key
                and tested.{{ replaced_on }} >= touched.{{ touched_from }}
            offset 0
        ) as found
    )
{%- else -%}
{{ model }}
{%- endif -%}
{%- endmacro %}

{% macro touched_anything() -%}
{%- if previous('int_installations_touched') is none -%}{{- return(false) -}}{%- endif -%}
{{- return(run_query('select exists (select 1 from ' ~ target.schema ~ '.int_installations_touched)').columns[0].values()[0]) -}}
{%- endmacro %}
