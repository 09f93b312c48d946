"""Fuel-stat: shared ground of all services (settings, logs, metrics, identity, the local stack).

Nothing here imports a service; services import this package.
"""

__version__ = "0.1.0"
