drop table if exists ops.pipeline_failure;
