"""Everything the collector measures. What is not declared here cannot be used."""

from __future__ import annotations

from fuel_stat.metrics import Metric

DECLARATIONS = (
    Metric(
        "ingest_requests_total", "counter", "Answers by resource and HTTP status.", ("resource", "status")
    ),
    Metric(
        "ingest_request_seconds", "histogram", "Time from the complete request to the answer.", ("resource",)
    ),
    Metric("ingest_body_bytes_total", "counter", "Bytes of bodies, inflated.", ("kind",)),
    Metric("ingest_records_total", "counter", "Records by kind and answer.", ("kind", "status")),
    Metric(
        "ingest_quarantined_total", "counter", "Records set aside, by kind and reason.", ("kind", "reason")
    ),
    Metric("ingest_redacted_values_total", "counter", "Values removed before storage, by rule.", ("rule",)),
    Metric("ingest_store_failures_total", "counter", "Requests that the database could not take.", ("code",)),
    Metric(
        "ingest_cut_off_total",
        "counter",
        "Requests refused before they were complete or understood: slow, too long, no HTTP.",
        ("code",),
    ),
    Metric("ingest_limited_total", "counter", "Requests refused by a quota.", ("quota",)),
    Metric(
        "ingest_response_mismatches_total",
        "counter",
        "Answers that do not match their schema.",
        ("resource",),
    ),
)
