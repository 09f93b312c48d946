"""What the DAGs and ``fuel-stat warehouse`` call: extraction, loading, audit, publication, backups, retention.

Every function takes its connections as arguments and reads no environment.
"""
