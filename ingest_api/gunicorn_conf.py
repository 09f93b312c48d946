"""How gunicorn serves the collector. ``--bind`` and any option on the command line win over this file."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterable
from typing import Any, NoReturn

from fuel_stat.errors import OperatorError
from fuel_stat.settings import from_env
from ingest_api import listeners
from ingest_api.settings import Settings
from ingest_api.worker import Worker


def _stop(error: OperatorError) -> NoReturn:
    """End before anything is served, with the sentence instead of a traceback."""
    sys.stderr.write(f"ingest: {error.code}: {error.sentence}\n")
    raise SystemExit(1) from error


try:
    _settings = from_env(Settings, os.environ)
    bind = listeners.addresses(_settings)
    _plain = listeners.plain_addresses(_settings)
except OperatorError as error:
    _stop(error)

workers = _settings.processes
threads = _settings.threads
worker_class = "ingest_api.worker.Worker"
certfile = _settings.certfile or None
keyfile = _settings.keyfile or None
# The application is built once; connections are made by the threads, after the fork.
preload_app = True
keepalive = 65
timeout = 30
graceful_timeout = 30
backlog = 512
worker_connections = _settings.places
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
# What a proxy says about the client is judged by the application, from configured addresses only.
forwarded_allow_ips = ""
accesslog = None
loglevel = "warning"
# Nothing outside the project is written, and two services do not meet in one file.
control_socket_disable = True

# Before the application (and with it prometheus_client) is imported. The file is read anew on HUP.
_MADE = "FUEL_STAT_INGEST_METRICS_MADE"
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="fuel-stat-ingest-metrics-")
    os.environ[_MADE] = "1"


def on_starting(server: Any) -> None:
    """Before anything is bound: a certificate that can be used, and no plain HTTP beyond loopback by mistake."""
    try:
        Worker.load_certificate(server.cfg)
        _look_at(server.cfg.address)
        if server.cfg.workers != _settings.processes:
            sentence = "Say how many workers with FUEL_STAT_INGEST_WORKERS: quotas are shared out among them."
            raise OperatorError("bad_option", sentence)
    except OperatorError as error:
        _stop(error)


def _look_at(names: Iterable[Any]) -> None:
    Worker.listeners = listeners.listening(names, _plain, tls=Worker.tls is not None)
    listeners.refuse_exposed(Worker.listeners, allowed=_settings.allow_plain_http)


def when_ready(server: Any) -> None:
    """Look again at what is really listened on: names and inherited sockets are known only now.

    Nothing built so far will ever be garbage: do not look at it again, and let the workers share its pages.
    """
    try:
        _look_at(listener.getsockname() for listener in server.LISTENERS)
    except OperatorError as error:
        _stop(error)
    _allow_files(_settings.places + 256)
    gc.collect()
    gc.freeze()


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def on_reload(server: Any) -> None:
    """On HUP: new workers with the certificate of now; one that cannot be used leaves the old one in place."""
    try:
        Worker.load_certificate(server.cfg)
    except OperatorError as error:
        server.log.error("%s The one before stays in use. [%s]", error.sentence, error.code)


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
    if _MADE in os.environ:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
