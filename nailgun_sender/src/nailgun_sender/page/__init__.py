"""The settings page: a WSGI application that a host mounts. No build step, no JavaScript, no outside resource."""

from .application import SettingsPage

__all__ = ["SettingsPage"]
