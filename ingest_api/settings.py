"""The collector's options."""

from __future__ import annotations

import os
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
    bind: str = option(
        "FUEL_STAT_INGEST_BIND",
        "127.0.0.1:8001",
        "Addresses to listen on, by comma; with a certificate they speak TLS.",
    )
    plain_bind: str = option(
        "FUEL_STAT_INGEST_PLAIN_BIND",
        "",
        "Further addresses, which speak plain HTTP in any case: for a proxy, health and metrics on this machine.",
    )
    certfile: str = option(
        "FUEL_STAT_INGEST_CERTFILE", "", "The certificate with its chain, PEM; read anew on SIGHUP."
    )
    keyfile: str = option("FUEL_STAT_INGEST_KEYFILE", "", "The certificate's key, PEM.")
    allow_plain_http: bool = option(
        "FUEL_STAT_INGEST_ALLOW_PLAIN_HTTP",
        False,
        "Plain HTTP beyond loopback; without it the collector refuses to start so. `fuel-stat status` shows it in red.",
    )
    workers: int = option(
        "FUEL_STAT_INGEST_WORKERS",
        0,
        "Processes. 0: one for two cores, since the database on the same machine is as busy; at least one.",
    )
    threads: int = option(
        "FUEL_STAT_INGEST_THREADS",
        4,
        "Threads a process, for long bodies and for what would hold up the others; each may have a connection to the "
        "database, beside the one that all other requests share.",
    )
    places: int = option(
        "FUEL_STAT_INGEST_PLACES",
        1000,
        "Connections a process; when all are taken, the one that waits for longest makes room.",
    )
    header_seconds: float = option(
        "FUEL_STAT_INGEST_HEADER_SECONDS",
        10.0,
        "Time a client has to send a request's headers; longer is 408.",
    )
    max_header_bytes: int = option(
        "FUEL_STAT_INGEST_MAX_HEADER_BYTES", 32_768, "Longest headers together; longer is 431."
    )
    gathered_bytes: int = option(
        "FUEL_STAT_INGEST_GATHERED_BYTES",
        67_108_864,
        "Memory of a process for requests that have not arrived in full; beyond it the oldest are cut off (408).",
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
        "Requests of one node in an hour, at once or spread; more is 429. 0: no limit. All quotas are approximate: "
        "each worker counts by itself and grants its share, so a client on one kept connection may meet one earlier.",
    )
    prefix_per_hour: int = option(
        "FUEL_STAT_INGEST_PREFIX_PER_HOUR",
        100_000,
        "The same for all requests from one network (IPv4 /24, IPv6 /48); each 64 kB count as one more. 0: no limit.",
    )
    new_nodes_per_hour: int = option(
        "FUEL_STAT_INGEST_NEW_NODES_PER_HOUR",
        10_000,
        "Nodes never seen before that one network may bring in an hour. 0: no limit.",
    )
    all_new_nodes_per_hour: int = option(
        "FUEL_STAT_INGEST_ALL_NEW_NODES_PER_HOUR",
        50_000,
        "Nodes never seen before in an hour, from everywhere. 0: no limit.",
    )
    key_cache_seconds: float = option(
        "FUEL_STAT_INGEST_KEY_CACHE_SECONDS",
        2.0,
        "How long a worker may go without looking whether keys or blocks have changed.",
    )
    log_level: str = option("FUEL_STAT_INGEST_LOG_LEVEL", "INFO", "Least severe records that are logged.")

    @property
    def processes(self) -> int:
        """How many processes serve."""
        return self.workers or max(1, len(os.sched_getaffinity(0)) // 2)
