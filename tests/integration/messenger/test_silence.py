"""Not one packet without consent: counted by the kernel, not by a server of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

from tests.integration.messenger.conftest import add_actions

pytestmark = pytest.mark.slow
SENDER = str(Path(sys.executable).parent / "fuel-stat-sender")
#: all that an operator may call, and the background process for a while
WORK = """
import time
from nailgun_sender.cli.main import main
from nailgun_sender.runner import SenderThread
for command in ("status", "preview", "send-now", "consent", "consent text", "doctor"):
    main(command.split())
sender = SenderThread()
sender.start()
time.sleep(1.5)
sender.stop()
"""
#: in a network namespace, where loopback is the only device
COUNTED = textwrap.dedent(
    f"""
    ip link set lo up
    count() {{ awk '/lo:/ {{print $3 + $11}}' /proc/net/dev; }}
    before=$(count)
    {sys.executable} -c '{WORK}' > /dev/null 2>&1 || exit 1
    echo $(($(count) - before))
    """
)


def node(folder: Path, how: str) -> dict[str, str]:
    """A node with something to send, and the environment of its commands; a collector by name and by address."""
    url = f"sqlite:///{folder}/node.sqlite"
    store = Store.open(Settings(database_url=url))
    add_actions(store, 5)
    levels = ["actions", "configuration", "workloads", "contact"]
    if how not in ("undecided", "refused"):
        Receipts(store).agree(levels, who="op", via="test", include_past=True)
    if how == "refused":
        Receipts(store).agree(levels, who="op", via="test", include_past=True)
        Receipts(store).refuse(who="op", via="test")
    store.close()
    switches = {"do not track": {"DO_NOT_TRACK": "1"}, "kill switch": {"FUEL_STAT_SENDER_DISABLED": "1"}}
    return {
        "PATH": os.environ["PATH"],
        "FUEL_STAT_SENDER_DATABASE_URL": url,
        "FUEL_STAT_SENDER_COLLECTOR_URL": "http://127.0.0.1:9",
        "FUEL_STAT_SENDER_KEY_FILE": str(folder / "node.key"),
        "FUEL_STAT_SENDER_INTERVAL": "0.2",
        "FUEL_STAT_SENDER_ATTEMPTS": "1",
        **switches.get(how, {}),
    }


def in_a_namespace(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the commands where nobody else's packets are counted; skipped where that is not allowed."""
    command = ["unshare", "--net", "--map-root-user", "--user", "sh", "-c", COUNTED]
    if os.geteuid() == 0:
        command = ["unshare", "--net", "sh", "-c", COUNTED]
    allowed = shutil.which("unshare") and shutil.which("ip")
    if allowed:
        probe = subprocess.run([*command[:-1], "ip link set lo up"], capture_output=True, check=False)
        allowed = "yes" if probe.returncode == 0 else None
    if not allowed:
        if os.environ.get("CI"):
            pytest.fail("the packets cannot be counted here: unshare and ip are needed in CI")
        pytest.skip("the packets cannot be counted: no right to make a network namespace")
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=120)


def packets(environ: dict[str, str]) -> int:
    """Packets on loopback, the only device, while all commands and the background process ran."""
    return int(in_a_namespace(environ).stdout)


@pytest.mark.parametrize("how", ["undecided", "refused", "do not track", "kill switch"])
def test_not_one_packet_leaves_without_consent(tmp_path: Path, how: str) -> None:
    """Every command and the background process, in a network where each packet is counted: none."""
    assert packets(node(tmp_path, how)) == 0


def test_the_count_sees_a_sender_whose_operator_agreed(tmp_path: Path) -> None:
    """What the test before relies on: with consent the same commands are counted."""
    assert packets(node(tmp_path, "agreed")) > 4


@pytest.mark.parametrize("how", ["undecided", "agreed"])
def test_not_one_system_call_asks_for_the_network(tmp_path: Path, how: str) -> None:
    """Seen at the system calls: without consent nothing is connected or sent to, and no name is looked up."""
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    environ = {**node(tmp_path, how), "FUEL_STAT_SENDER_COLLECTOR_URL": "http://collector.invalid"}
    trace = tmp_path / "trace"
    command = [strace, "-f", "-qq", "-e", "trace=%network", "-o", str(trace), SENDER, "send-now"]
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("tracing is not allowed here")
    subprocess.run(command, env=environ, capture_output=True, check=False, timeout=120)
    asked = re.findall(
        r"(?:connect|sendto|sendmsg|sendmmsg)\(.*AF_(?:INET6?|NETLINK|PACKET)", trace.read_text()
    )
    assert bool(asked) is (how == "agreed")
