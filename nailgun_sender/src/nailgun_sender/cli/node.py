"""The node that a command works on: settings, its store, its host's providers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ..messenger import Cycle, MessengerSettings
from ..messenger.host import Host, load
from ..settings import Settings
from ..store import Store


@dataclass(frozen=True)
class OpenNode:
    """A node whose database is open."""

    store: Store
    messenger: MessengerSettings
    cycle: Callable[..., Cycle]


@dataclass(frozen=True)
class Node:
    """What the environment says of this node."""

    settings: Settings
    messenger: MessengerSettings
    host: Host
    environ: Mapping[str, str]

    @classmethod
    def from_env(cls) -> Node:
        """Read the environment; raises SettingsError."""
        messenger = MessengerSettings.from_env()
        return cls(Settings.from_env(), messenger, load(messenger), os.environ)

    def cycle(
        self,
        store: Store,
        sleep: Callable[[float], None] = time.sleep,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Cycle:
        """A cycle over an open store."""
        host = self.host
        return Cycle(
            store,
            self.messenger,
            host.structure,
            host.workloads,
            environ=self.environ,
            sleep=sleep,
            stopping=stopping,
        )

    @contextmanager
    def opened(self) -> Iterator[OpenNode]:
        """The node with its database open."""
        store = Store.open(self.settings)
        try:
            yield OpenNode(store, self.messenger, self.cycle)
        finally:
            store.close()
