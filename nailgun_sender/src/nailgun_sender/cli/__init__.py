"""``fuel-stat-sender``: the operator's commands on the node."""

from .main import main

__all__ = ["main"]
