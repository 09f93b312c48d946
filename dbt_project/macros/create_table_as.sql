{# As the adapter's, but for the primary key: it is added when the rows are there. Sorted once, an index is made several
   times as fast as row by row. #}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
{%- set is_held = config.get('contract').enforced -%}
{%- if is_held %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
{%- if is_held and not temporary %}
    {%- set keys = model['constraints'] | selectattr('type', 'equalto', 'primary_key') | list %}
    {%- set checks = model['constraints'] | rejectattr('type', 'equalto', 'primary_key') | list %}
    {%- set columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) %}
    create table {{ relation }} (
        {{ (columns + adapter.render_raw_model_constraints(raw_constraints=checks)) | join(', ') }}
    );
    insert into {{ relation }} ({{ adapter.dispatch('get_column_names', 'dbt')() }}) {{ get_select_subquery(sql) }};
    {%- for key in keys %}
    alter table {{ relation }} add primary key ({{ key.columns | join(', ') }});
    {%- endfor %}
{%- else %}
    create {% if temporary %}temporary {% endif %}table {{ relation }} as ({{ sql }});
{%- endif %}
{%- endmacro %}
