"""Record what a Fuel master node does; send anonymous statistics when its operator agrees."""

from .errors import ProviderError, SenderError, SettingsError, StoreError
from .settings import Settings

__all__ = ["ProviderError", "SenderError", "Settings", "SettingsError", "StoreError"]
