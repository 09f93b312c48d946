"""The background process as a uWSGI mule: ``mule = nailgun_sender.mule:main``.

uWSGI starts it after the fork, restarts it when it ends, and ends it with itself.
"""

from __future__ import annotations

import logging
import sys

from .cli.node import Node
from .messenger.daemon import Daemon

log = logging.getLogger("nailgun_sender.messenger")


def main() -> None:
    """Run until uWSGI ends the mule."""
    if not log.handlers and not logging.getLogger().handlers:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
        )
    node = Node.from_env()
    Daemon(node.settings, node.messenger, node.cycle).run_until_signalled()
