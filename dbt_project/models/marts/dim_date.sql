select
    days.day::date as date_day,
    extract(isoyear from days.day)::integer as iso_year,
    extract(week from days.day)::integer as iso_week,
    date_trunc('week', days.day)::date as week_start,
    date_trunc('month', days.day)::date as month_start,
    date_trunc('quarter', days.day)::date as quarter_start,
    extract(year from days.day)::integer as year,
    extract(month from days.day)::integer as month,
    extract(isodow from days.day)::integer as iso_weekday,
    extract(isodow from days.day) in (6, 7) as is_weekend
from generate_series(
        '{{ var("calendar_from") }}'::timestamp,
        date_trunc('year', {{ as_of() }}) + interval '2 years' - interval '1 day',
        interval '1 day'
    ) as days (day)
