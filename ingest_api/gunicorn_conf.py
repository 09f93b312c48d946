"""How gunicorn serves the collector. ``--bind`` and any option on the command line win over this file."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from typing import Any

bind = os.environ.get("FUEL_STAT_INGEST_BIND", "127.0.0.1:8001")
workers = int(os.environ.get("FUEL_STAT_INGEST_WORKERS", "2"))
threads = int(os.environ.get("FUEL_STAT_INGEST_THREADS", "4"))
worker_class = "gthread"
# The application is built once; connections are made by the threads, after the fork.
preload_app = True
keepalive = 65
timeout = 30
graceful_timeout = 30
backlog = 512
worker_connections = 256
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
# What a proxy says about the client is judged by the application, from configured addresses only.
forwarded_allow_ips = ""
accesslog = None
loglevel = "warning"
# Nothing outside the project is written, and two services do not meet in one file.
control_socket_disable = True

# Before the application (and with it prometheus_client) is imported.
_made_folder = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _made_folder:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="fuel-stat-ingest-metrics-")


def when_ready(server: Any) -> None:
    """Nothing built so far will ever be garbage: do not look at it again, and let the workers share its pages."""
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """A request makes a few thousand objects that die with it: collect less often, and keep their memory."""
    # Not at the top: nothing of the package before the folder of the metrics is named.
    from ingest_api.allocator import keep_memory  # noqa: PLC0415

    gc.set_threshold(50_000, 20, 100)
    keep_memory()


def child_exit(server: Any, worker: Any) -> None:
    """A worker that is gone no longer counts in gauges."""
    # Not at the top: prometheus_client looks at the folder when it is imported.
    from prometheus_client import multiprocess  # noqa: PLC0415

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the folder of the metrics."""
    if _made_folder:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
