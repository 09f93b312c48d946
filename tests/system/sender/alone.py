"""What a node does with the package alone: run by the Python of an environment that has nothing else (evidence)."""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.metadata import distributions, version

import sqlalchemy as sa
from nailgun_sender.providers import ClusterWorkload
from nailgun_sender.store import Store

from nailgun_sender import Recorder, RecordingMiddleware, Settings, workloads


def application(environ, start_response):
    """Refuse everything."""
    start_response("409 Conflict", [("Content-Type", "text/plain")])
    return iter([b"cluster is busy, token=abc123"])


def main():
    """Record a request, a task and a look at a cluster; print what is in the tables."""
    folder = tempfile.mkdtemp()
    settings = Settings(database_url="sqlite:///" + folder + "/sender.sqlite", tally_folder=folder)
    recorder = Recorder(settings)
    environ = {
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": "/api/clusters/7/changes/",
        "HTTP_X_AUTH_TOKEN": "abc123",
    }
    body = RecordingMiddleware(application, recorder)(environ, lambda *given: None)
    list(body)
    body.close()
    with recorder.tasks.task("deploy", cluster_id=7):
        pass
    assert recorder.flush(20)
    recorder.close(20)
    store = Store.open(settings)
    look = ClusterWorkload(7, "tenant", [{"id": "a", "enabled_flag": True}])
    assert workloads.record(store, [look]) == 1
    with store.read() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(store.tables.actions)).mappings()]
    store.close()
    packages = sorted(each.metadata["Name"].lower() for each in distributions())
    told = {
        "python": sys.version.split()[0],
        "sqlalchemy": version("sqlalchemy"),
        "packages": packages,
        "rows": [[row["action_name"], row["cluster_id"], row["additional_info"]] for row in rows],
    }
    print(json.dumps(told))


main()
