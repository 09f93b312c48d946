"""``gunicorn -c analytics_api/gunicorn_conf.py analytics_api.wsgi:application``."""

import os
import sys

from analytics_api.app import create_app
from analytics_api.settings import Settings
from fuel_stat import log
from fuel_stat.errors import OperatorError
from fuel_stat.settings import from_env, masked

# What gunicorn understands as "do not try again".
APP_LOAD_ERROR = 4

log.configure("analytics_api")
try:
    _settings = from_env(Settings, os.environ)
except OperatorError as error:
    sys.stderr.write(f"analytics_api: {error}\n")
    raise SystemExit(APP_LOAD_ERROR) from None
log.get("analytics_api").info("starting", **masked(_settings))
application = create_app(_settings)
