{# Does the model's contract make these columns its primary key? #}
{% macro key_is_held(model, columns) -%}
{%- set node = graph.nodes.get('model.' ~ project_name ~ '.' ~ model.identifier) if execute else none -%}
{%- for constraint in (node.constraints if node and node.config.contract.enforced else []) -%}
    {%- if constraint.type == 'primary_key' and constraint.columns == columns -%}{{- return(true) -}}{%- endif -%}
{%- endfor -%}
{{- return(false) -}}
{%- endmacro %}
