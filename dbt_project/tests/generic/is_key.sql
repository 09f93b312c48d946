{# Assert that the columns identify a row: together unique, each present (and so the other required columns).
   One query a model. An incremental model is looked at where this run touched it; its primary key holds elsewhere. #}
{% test is_key(model, columns, required=[], touched_from=none, replaced_on=none) %}
with looked_at as (
    select {{ (columns + required) | unique | map('string') | join(', ') }}
    from {{ model }} as tested
    {{ where_touched('tested', touched_from, replaced_on) }}
)

select
    'missing' as violation,
    count(*) as occurrences
from looked_at
where {% for column in (columns + required) | unique %}looked_at.{{ column }} is null{% if not loop.last %} or {% endif %}{% endfor %}
having count(*) > 0
union all
select
    'repeated',
    count(*)
from (
    select 1
    from looked_at
    group by {{ columns | join(', ') }}
    having count(*) > 1
) as repeated
having count(*) > 0
{% endtest %}
