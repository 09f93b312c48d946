{# What was just built is joined at once: without statistics the planner guesses, and guesses nested loops. #}
{% macro analyze_table() -%}
{%- if model.config.materialized != 'view' -%}analyze {{ this }}{%- endif -%}
{%- endmacro %}
