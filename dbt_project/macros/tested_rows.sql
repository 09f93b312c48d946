{# The rows of an incremental model that this run replaced, for its tests; all rows on a first build. #}
{% macro tested_rows(model) -%}
{%- set node = graph.nodes.get('model.' ~ project_name ~ '.' ~ model.identifier) if execute else none -%}
{%- if node and node.config.get('touched_from') and touched_anything() -%}
(
        select found.*
        from {{ target.schema }}.int_installations_touched as touched
        cross join lateral (
            select tested.*
            from {{ model }} as tested
            where {{ is_replaced('tested', node.config) }}
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
