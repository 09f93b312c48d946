"""Airflow DAG files: schedule, wiring and what to do on failure. The work is done by ``warehouse``."""
