"""``gunicorn -c analytics_api/gunicorn_conf.py analytics_api.wsgi:application``."""

import os

from analytics_api.app import create_app
from analytics_api.settings import Settings
from fuel_stat import log
from fuel_stat.settings import from_env, masked

log.configure("analytics_api")
_settings = from_env(Settings, os.environ)
log.get("analytics_api").info("starting", **masked(_settings))
application = create_app(_settings)
