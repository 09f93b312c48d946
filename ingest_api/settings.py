"""The collector's options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fuel_stat.settings import option


@dataclass(frozen=True)
class Settings:
    """Read with ``fuel_stat.settings.from_env(Settings, os.environ)``."""

    dsn: str = option(
        "FUEL_STAT_INGEST_DSN",
        "postgresql://fuel_ingest@127.0.0.1:5432/collector",
        "Address of the collector's primary database, as role fuel_ingest.",
        secret=True,
    )
    kinds_folder: Path | None = option(
        "FUEL_STAT_INGEST_KINDS", None, "A further folder of kinds of statistics, beside the shipped ones."
    )
    max_body_bytes: int = option(
        "FUEL_STAT_INGEST_MAX_BODY_BYTES", 16_777_216, "Longest body, as sent and as inflated; longer is 413."
    )
    max_records: int = option(
        "FUEL_STAT_INGEST_MAX_RECORDS", 5000, "Most records in one request; more is 400."
    )
    body_seconds: float = option(
        "FUEL_STAT_INGEST_BODY_SECONDS", 20.0, "Time a client has to send its body; longer is 408."
    )
    keep_contact: bool = option(
        "FUEL_STAT_INGEST_KEEP_CONTACT",
        False,
        "Keep name, e-mail and company of user_information where the node says that contact data was given.",
    )
    validate_responses: float = option(
        "FUEL_STAT_INGEST_VALIDATE_RESPONSES",
        0.01,
        "Share of answers that are validated against their schema.",
    )
    statement_seconds: float = option(
        "FUEL_STAT_INGEST_STATEMENT_SECONDS", 10.0, "Longest time a statement may run or wait."
    )
    min_runway_days: int = option(
        "FUEL_STAT_INGEST_MIN_RUNWAY_DAYS", 7, "Not ready when the partitions reach fewer days ahead."
    )
    disk_path: Path = option(
        "FUEL_STAT_INGEST_DISK_PATH", Path(), "A folder on the database's disk, whose free space is watched."
    )
    min_free_bytes: int = option(
        "FUEL_STAT_INGEST_MIN_FREE_BYTES", 268_435_456, "Not ready when less is free on that disk."
    )
    proxies: str = option(
        "FUEL_STAT_INGEST_PROXIES",
        "",
        "Addresses or networks of proxies, by comma: only these are believed about X-Forwarded-For.",
    )
    node_per_hour: int = option(
        "FUEL_STAT_INGEST_NODE_PER_HOUR",
        5000,
        "Requests of one node in an hour that each worker takes, at once or spread; more is 429. 0: no limit.",
    )
    prefix_per_hour: int = option(
        "FUEL_STAT_INGEST_PREFIX_PER_HOUR",
        100_000,
        "The same for all requests from one network (IPv4 /24, IPv6 /48). 0: no limit.",
    )
    new_nodes_per_hour: int = option(
        "FUEL_STAT_INGEST_NEW_NODES_PER_HOUR",
        10_000,
        "Nodes never seen before that each worker takes from one network in an hour. 0: no limit.",
    )
    key_cache_seconds: float = option(
        "FUEL_STAT_INGEST_KEY_CACHE_SECONDS",
        2.0,
        "How long a worker may go without looking whether keys or blocks have changed.",
    )
    log_level: str = option("FUEL_STAT_INGEST_LOG_LEVEL", "INFO", "Least severe records that are logged.")
