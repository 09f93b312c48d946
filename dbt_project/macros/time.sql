{# Time: UTC everywhere, naive timestamps as nodes write them, the server's clock as the judge. #}

{# "Now" as a naive UTC timestamp: the variable as_of where it is set, else the clock. #}
{% macro as_of() -%}
{%- if var('as_of') -%}'{{ var('as_of') }}'::timestamp{%- else -%}(now() at time zone 'UTC'){%- endif -%}
{%- endmacro %}

{# A receive time as a naive UTC timestamp. #}
{% macro utc(timestamptz) -%}
({{ timestamptz }} at time zone 'UTC')
{%- endmacro %}

{# Text to naive UTC timestamp: "T" or a space, a fraction or none, no zone. Anything else, and days that
   do not exist, are null: a cast would fail the build, and accept words such as "yesterday". #}
{% macro parse_timestamp(text) -%}
case
    when {{ text }} ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z?$'
        then case
            when substr({{ text }}, 9, 2)::integer <= extract(
                day from (substr({{ text }}, 1, 7) || '-01')::date + interval '1 month' - interval '1 day'
            )
                then rtrim({{ text }}, 'Z')::timestamp
        end
end
{%- endmacro %}

{% macro parse_date(text) -%}
case
    when {{ text }} ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
        then case
            when substr({{ text }}, 9, 2)::integer <= extract(
                day from (substr({{ text }}, 1, 7) || '-01')::date + interval '1 month' - interval '1 day'
            )
                then {{ text }}::date
        end
end
{%- endmacro %}

{% macro parse_time(text) -%}
case
    when {{ text }} ~ '^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?$' then {{ text }}::time
end
{%- endmacro %}

{# The instant an event counts at: its own where that lies in [received - 1 year, received + 1 hour], else the
   nearer bound; the receive time where it has none. #}
{% macro clamp(occurred, received) -%}
case
    when {{ occurred }} is null then {{ received }}
    else least(
        greatest({{ occurred }}, {{ received }} - interval '{{ var("clamp_past") }}'),
        {{ received }} + interval '{{ var("clamp_future") }}'
    )
end
{%- endmacro %}

{# Which of these happened: occurred, clamped_past, clamped_future or unparseable. #}
{% macro clamp_source(occurred, received) -%}
case
    when {{ occurred }} is null then 'unparseable'
    when {{ occurred }} < {{ received }} - interval '{{ var("clamp_past") }}' then 'clamped_past'
    when {{ occurred }} > {{ received }} + interval '{{ var("clamp_future") }}' then 'clamped_future'
    else 'occurred'
end
{%- endmacro %}

{# Events count at most so long after they were received: what was received before this cannot be of these days. #}
{% macro latest_receipt(from_day) -%}
((touched.{{ from_day }}::timestamp - interval '{{ var("clamp_future") }}') at time zone 'UTC')
{%- endmacro %}
