{# Assert that the columns identify a row: together unique, each present, and so the other required columns.
   Where the contract has the database hold the key, it is enough that it does; else the rows are looked at, those of
   an incremental model where this run touched it. #}
{% test is_key(model, columns, required=[]) %}
{%- set held = key_is_held(model, columns) -%}
{%- set present = (required if held else columns + required) | unique | list -%}
with
{%- if present %} looked_at as (
    select {{ (columns + required) | unique | join(', ') }}
    from {{ tested_rows(model) }} as tested
),
{%- endif %}

violations as (
{%- if held %}
    select
        'no primary key' as violation,
        1 as occurrences
    where not exists (
        select 1
        from pg_constraint as constraints
        where
            constraints.conrelid = '{{ model }}'::regclass
            and constraints.contype = 'p'
            and array['{{ columns | join("', '") }}'] = array(
                select attributes.attname::text
                from unnest(constraints.conkey) with ordinality as keys (attnum, place)
                inner join pg_attribute as attributes
                    on attributes.attrelid = constraints.conrelid and attributes.attnum = keys.attnum
                order by keys.place
            )
    )
{%- else %}
    select
        'repeated' as violation,
        count(*) as occurrences
    from (
        select 1
        from looked_at
        group by {{ columns | join(', ') }}
        having count(*) > 1
    ) as repeated
    having count(*) > 0
{%- endif %}
{%- if present %}
    union all
    select
        'missing',
        count(*)
    from looked_at
    where {% for column in present %}looked_at.{{ column }} is null{% if not loop.last %} or {% endif %}{% endfor %}
    having count(*) > 0
{%- endif %}
)

select * from violations
{% endtest %}
