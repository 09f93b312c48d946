{# Everything is built in one schema: what readers see is published from it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
{{ target.schema }}
{%- endmacro %}
