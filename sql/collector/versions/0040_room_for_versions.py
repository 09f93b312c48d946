from fuel_stat.migrations import sql_migration

revision, down_revision, upgrade, downgrade = sql_migration(__file__)
