{# Environments by number of nodes, in the classes the size report shows. #}
{% macro size_class(nodes) -%}
case
    when {{ nodes }} is null then 'unknown'
    when {{ nodes }} = 0 then '0'
    when {{ nodes }} <= 3 then '1-3'
    when {{ nodes }} <= 10 then '4-10'
    when {{ nodes }} <= 30 then '11-30'
    when {{ nodes }} <= 100 then '31-100'
    else '100+'
end
{%- endmacro %}
