"""Record what a Fuel master node does; send anonymous statistics when its operator agrees."""

from .errors import ProviderError, SenderError, SettingsError, StoreError
from .middleware import RecordingMiddleware
from .observation import Task
from .recorder import Recorder, Status
from .settings import Settings
from .tasks import Tasks
from .urlmap import Route, UrlMap

__all__ = [
    "ProviderError",
    "Recorder",
    "RecordingMiddleware",
    "Route",
    "SenderError",
    "Settings",
    "SettingsError",
    "Status",
    "StoreError",
    "Task",
    "Tasks",
    "UrlMap",
]
