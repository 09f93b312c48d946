"""The node's database: our tables, how they come to be, and what is written to them."""

from .engine import Store
from .tables import Tables, tables

__all__ = ["Store", "Tables", "tables"]
