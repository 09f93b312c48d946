{# Surrogate keys: a uuid of the parts' md5. Null parts count as empty, the parts cannot run into each other. #}
{% macro surrogate_key(parts) -%}
md5(
    {%- for part in parts %}
    coalesce(({{ part }})::text, '\N') {%- if not loop.last %} || chr(31) ||{% endif %}
    {%- endfor %}
)::uuid
{%- endmacro %}
