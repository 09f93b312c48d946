"""The WSGI entry: ``gunicorn -c ingest_api/gunicorn_conf.py ingest_api.wsgi:application``."""

from __future__ import annotations

import os

from fuel_stat import log
from fuel_stat.settings import from_env, masked
from ingest_api.app import create_app
from ingest_api.settings import Settings

_settings = from_env(Settings, os.environ)
log.configure("ingest", _settings.log_level)
log.get(__name__).info("starting", **masked(_settings))
application = create_app(_settings)
