"""How gunicorn runs the analytics API: a few threads, because answers wait for the database, not for the CPU."""

import os
import shutil
import tempfile
from typing import Any

bind = "127.0.0.1:8102"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
# An export streams for as long as it takes; a thread that streams does not keep its worker from its heartbeat.
timeout = 60
graceful_timeout = 20
keepalive = 5
accesslog = None
# No second way in: it would put a socket into the home of whoever starts the service.
control_socket_disable = True

# The workers' metrics meet in files below this folder. prometheus_client reads the variable when it is imported, so
# nothing here may import it before.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="fuel-stat-analytics-metrics-")
    _own_folder: str | None = os.environ["PROMETHEUS_MULTIPROC_DIR"]
else:
    _own_folder = None


def child_exit(server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that has ended."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - see above

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the folder of the metrics, if it is ours."""
    if _own_folder:
        shutil.rmtree(_own_folder, ignore_errors=True)
