{# The distinct values of an indexed column, by skipping along its index: milliseconds whatever the table's size.
   For use as a subquery; nulls are left out. #}
{% macro skip_scan(relation, column) -%}
with recursive skipped as (
    (
        select rows_of.{{ column }}
        from {{ relation }} as rows_of
        where rows_of.{{ column }} is not null
        order by rows_of.{{ column }}
        limit 1
    )
    union all
    select (
        select rows_of.{{ column }}
        from {{ relation }} as rows_of
        where rows_of.{{ column }} > skipped.{{ column }}
        order by rows_of.{{ column }}
        limit 1
    ) as {{ column }}
    from skipped
    where skipped.{{ column }} is not null
)

select skipped.{{ column }} from skipped where skipped.{{ column }} is not null
{%- endmacro %}
