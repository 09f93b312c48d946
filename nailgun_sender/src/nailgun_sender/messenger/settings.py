"""Settings of sending; ``FUEL_STAT_SENDER_<NAME>`` in the environment, like those of recording."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import SettingsError
from ..settings import _setting, _switch, read


@dataclass(frozen=True)
class MessengerSettings:
    """Durations are seconds, sizes are bytes or records as the name says."""

    collector_url: str = _setting(
        "https://collector.example.com", "Address of the collector, without /api/v1."
    )
    node_uid: str = _setting("", "The node's uid (master_node_uid); empty: one is made and kept.")
    ca_file: str = _setting("", "PEM file of the authorities that may sign the collector's certificate.")
    client_cert_file: str = _setting(
        "", "PEM file of this node's certificate, if the collector asks for one."
    )
    client_key_file: str = _setting("", "PEM file of that certificate's key.")
    proxy_url: str = _setting("", "HTTP proxy to go through.")
    key_file: str = _setting("", "Where the node's Ed25519 key is kept; empty: reports are not signed.")
    host: str = _setting(
        "",
        "Where the host describes itself: module:function, which returns a Host (messenger.host); empty: only"
        " actions are sent.",
    )
    interval: float = _setting(3600.0, "Seconds between cycles.", float)
    deadline: float = _setting(900.0, "Seconds after which a cycle ends, finished or not.", float)
    connect_timeout: float = _setting(5.0, "Seconds to wait for a connection.", float)
    read_timeout: float = _setting(30.0, "Seconds to wait for an answer.", float)
    answer_timeout: float = _setting(
        120.0, "Seconds for one request from its start to the answer's end.", float
    )
    batch_records: int = _setting(500, "Records in one request at most.", int)
    batch_bytes: int = _setting(
        512 * 1024, "Bytes of JSON in one request, where one record does not exceed it.", int
    )
    attempts: int = _setting(5, "Tries of one request within a cycle.", int)
    backoff_least: float = _setting(1.0, "First wait after a failure; doubles, with jitter.", float)
    backoff_most: float = _setting(300.0, "Longest wait, also for Retry-After.", float)
    heartbeat: float = _setting(86400.0, "Seconds after which an unchanged structure is sent again.", float)
    compress: bool = _setting(True, "Compress requests with gzip.", _switch)

    def __post_init__(self) -> None:
        parts = urlsplit(self.collector_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("bad_setting", "collector_url must be an http or https address.")
        for name in ("batch_records", "batch_bytes", "attempts"):
            if getattr(self, name) < 1:
                raise SettingsError("bad_setting", f"{name} must be at least 1.")
        if bool(self.client_cert_file) != bool(self.client_key_file):
            raise SettingsError("bad_setting", "client_cert_file and client_key_file go together.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> MessengerSettings:
        """Read ``FUEL_STAT_SENDER_*``; raises SettingsError naming the variable that is wrong."""
        return read(cls, os.environ if environ is None else environ)
