{# The first of two names that says something: firmware is full of placeholders. #}
{% macro known_vendor(preferred, otherwise) -%}
coalesce({{ real_name(preferred) }}, {{ real_name(otherwise) }}, 'unknown')
{%- endmacro %}

{# No patterns: they took most of the time of unpacking a node. #}
{% macro real_name(text) -%}
case
    when
        lower(btrim({{ text }})) not in (
            '0123456789', 'none', 'null', 'unknown', 'default string', 'system manufacturer', 'system product name',
            'not specified', 'not available'
        )
        and lower(btrim({{ text }})) not like 'to be filled by%'
        and translate(btrim({{ text }}), '-0', '') <> ''
        then btrim({{ text }})
end
{%- endmacro %}
