{# Reading JSON that a node sent: every cast is guarded, a value of another type is null and never an error. #}

{% macro json_text(document, path) -%}
({{ document }} #>> '{ {{- path -}} }')
{%- endmacro %}

{# All of 64 bits: nodes may count that far, and a key that is read as null would leave its record out. #}
{% macro json_bigint(document, path) -%}
case
    when jsonb_typeof({{ document }} #> '{ {{- path -}} }') = 'number'
        and (
            ({{ document }} #>> '{ {{- path -}} }') ~ '^-?[0-9]{1,18}$'
            or ({{ document }} #>> '{ {{- path -}} }') ~ '^-?[0-9]{19}$'
            and ltrim({{ document }} #>> '{ {{- path -}} }', '-') collate "C" <= '9223372036854775807'
        )
        then ({{ document }} #>> '{ {{- path -}} }')::bigint
end
{%- endmacro %}

{% macro json_number(document, path) -%}
case
    when jsonb_typeof({{ document }} #> '{ {{- path -}} }') = 'number'
        and ({{ document }} #>> '{ {{- path -}} }') ~ '^-?[0-9]{1,18}(\.[0-9]{1,9})?$'
        then ({{ document }} #>> '{ {{- path -}} }')::numeric
end
{%- endmacro %}

{% macro json_boolean(document, path) -%}
case
    when jsonb_typeof({{ document }} #> '{ {{- path -}} }') = 'boolean'
        then ({{ document }} #>> '{ {{- path -}} }')::boolean
end
{%- endmacro %}

{% macro json_array(document, path) -%}
case
    when jsonb_typeof({{ document }} #> '{ {{- path -}} }') = 'array'
        then {{ document }} #> '{ {{- path -}} }'
    else '[]'::jsonb
end
{%- endmacro %}

{% macro json_array_length(document, path) -%}
case
    when jsonb_typeof({{ document }} #> '{ {{- path -}} }') = 'array'
        then jsonb_array_length({{ document }} #> '{ {{- path -}} }')
end
{%- endmacro %}

{% macro json_object(expression) -%}
case when jsonb_typeof({{ expression }}) = 'object' then {{ expression }} else '{}'::jsonb end
{%- endmacro %}

{# The distinct strings of a list, sorted and joined: "cinder + compute". Null when the list is empty or none. #}
{% macro json_strings(document, path) -%}
(
    select string_agg(distinct strings.item #>> '{}', ' + ' order by strings.item #>> '{}')
    from jsonb_array_elements({{ json_array(document, path) }}) as strings (item)
    where jsonb_typeof(strings.item) = 'string'
)
{%- endmacro %}
