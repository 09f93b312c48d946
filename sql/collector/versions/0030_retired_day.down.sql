drop table if exists collector.retired_day;
