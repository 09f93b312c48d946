"""Nothing leaves the node without consent: what is asked, what was answered, and whether sending is allowed now."""

from .agreement import agreed
from .gate import Permission, permission
from .receipts import Decision, Receipts
from .texts import LEVELS, TEXT_VERSION, Level
from .wording import Field

__all__ = [
    "LEVELS",
    "TEXT_VERSION",
    "Decision",
    "Field",
    "Level",
    "Permission",
    "Receipts",
    "agreed",
    "permission",
]
