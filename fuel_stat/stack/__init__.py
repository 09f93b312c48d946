"""The local stack: three Postgres servers, the services, Airflow, and how they are started, watched and stopped."""
