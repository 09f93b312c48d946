{# The first of two names that says something: firmware is full of placeholders. #}
{% macro known_vendor(preferred, otherwise) -%}
coalesce({{ real_name(preferred) }}, {{ real_name(otherwise) }}, 'unknown')
{%- endmacro %}

{% macro real_name(text) -%}
case
    when btrim({{ text }}) !~* '^(|-+|0+|0123456789|none|null|unknown|default string|system (manufacturer|product name)|not (specified|available)|to be filled by.*)$'
        then btrim({{ text }})
end
{%- endmacro %}
