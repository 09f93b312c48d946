{# Assert that each reference that is not null is found where it points to. One query a model. #}
{% test refers_to_known(model, references) %}
{%- for reference in references %}
select
    '{{ reference.column }}' as violation,
    count(*) as occurrences
from {{ tested_rows(model) }} as looked_at
where
    looked_at.{{ reference.column }} is not null
    {%- if reference.where %}
    and {{ reference.where }}
    {%- endif %}
    and not exists (
        select 1
        from {{ reference.to }} as known
        where known.{{ reference.field }} = looked_at.{{ reference.column }}
    )
having count(*) > 0
{% if not loop.last %}union all{% endif %}
{%- endfor %}
{% endtest %}
