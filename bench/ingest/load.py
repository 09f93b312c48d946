"""Bodies for the collector's benchmark, the client that sends them, and the CPU that it costs others."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CONNECTIONS = 8
_TICK = os.sysconf("SC_CLK_TCK")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
Request = tuple[str, str, bytes]  # kind, uid, body


def action_logs(uid: str, first: int, dice: random.Random) -> bytes:
    """100 records of about 0.88 kB, as a node words them."""
    return json.dumps(
        {"action_logs": [action_log(uid, number, dice) for number in range(first, first + 100)]}
    ).encode()


def action_log(uid: str, number: int, dice: random.Random) -> dict[str, Any]:
    """One record of an HTTP request."""
    second = dice.randrange(10, 50)
    settings = {f"setting_{key}": {"value": dice.randrange(10**6), "type": "text"} for key in range(7)}
    info = {
        "request_data": {
            "url": f"/api/clusters/{dice.randrange(9)}/attributes/",
            "http_method": "PUT",
            "data": settings,
        },
        "response_data": {"status": "200 OK", "data": {}},
    }
    body = {
        "start_timestamp": f"2026-11-23T17:01:{second}.{dice.randrange(10**6):06d}",
        "action_group": "cluster_attributes",
        "action_name": dice.choice(["attributes", "deploy", "neutron", "cluster_instance"]),
        "is_sent": False,
        "cluster_id": dice.randrange(9),
        "actor_id": f"{dice.getrandbits(256):064x}",
        "action_type": "http_request",
        "additional_info": info,
        "id": number,
        "end_timestamp": f"2026-11-23T17:01:{second + 5}.{dice.randrange(10**6):06d}",
    }
    return {"body": body, "external_id": number, "master_node_uid": uid}


def workloads(uid: str, first: int, dice: random.Random, count: int = 10) -> bytes:
    """Records of about 0.8 kB; the values differ from call to call."""
    records = []
    for number in range(first, first + count):
        current = [
            {"id": f"{dice.getrandbits(128):032x}", "status": "ACTIVE", "power_state": 1, "flavor_id": "2"}
            for _ in range(5)
        ]
        records.append(
            {
                "resource_checksum": f"{dice.getrandbits(160):040x}",
                "master_node_uid": uid,
                "resource_data": {"current": current, "added": [], "removed": [], "modified": []},
                "updated_time": f"17:01:{dice.randrange(10, 59)}.011684",
                "cluster_id": 1,
                "created_date": "2026-11-22",
                "id": number,
                "resource_type": "vm",
            }
        )
    return json.dumps({"oswl_stats": records}).encode()


def structure(uid: str, version: int, nodes: int = 12) -> bytes:
    """A structure of about 60 kB (with twelve nodes) with everything in it that is to be redacted."""

    def node(number: int) -> dict[str, Any]:
        interface = {"name": "eth0", "driver": "igb", "max_speed": 1000, "bus_info": "0000:01:00.0", "pxe": True,
            "offloading_modes": [{"name": f"tx-{mode}", "state": True, "sub": []} for mode in range(6)]}  # fmt: skip
        meta = {
            "pci_devices": {"id": "host.domain.tld", "serial": "ABC", "configuration": {"uuid": "0-8C89A5332338"}},
            "interfaces": [interface] * 6,
            "disks": [
                {"model": "TOSHIBA MK1002TS", "disk": f"sd{disk}", "name": f"sd{disk}", "size": 10**12}
                for disk in range(6)
            ],
            "cpu": {"real": 2, "total": 24, "spec": [{"model": "Intel Xeon E5-2620", "frequency": 2001}] * 24},
            "memory": {"total": 137455730688, "devices": [{"frequency": 1333, "type": "DDR3", "size": 2**33}] * 8},
            "system": {"product": "X9DRW", "family": "none", "version": "0123456789", "manufacturer": "Supermicro"},
        }  # fmt: skip
        return {
            "id": number,
            "roles": ["compute"],
            "os": "ubuntu",
            "status": "ready",
            "manufacturer": None,
            "meta": meta,
        }

    attributes: dict[str, Any] = {f"attribute_{number}": bool(number % 2) for number in range(60)}
    attributes |= {
        "admin_key": "k",
        "mon_key": "k",
        "radosgw_key": "k",
        "bootstrap_osd_key": "k",
        "fsid": "f",
    }
    cluster = {"id": 1, "nodes_num": nodes, "nodes": [node(number) for number in range(nodes)], "mode": "ha_compact",
        "release": {"version": "2015.1.0-7.0", "os": "Ubuntu", "name": "Kilo"}, "status": "operational",
        "attributes": attributes}  # fmt: skip
    record = {
        "master_node_uid": uid,
        "clusters_num": version,
        "allocated_nodes_num": nodes,
        "unallocated_nodes_num": 0,
        "clusters": [cluster],
        "user_information": {
            "contact_info_provided": True,
            "name": "J",
            "email": "j@example.com",
            "company": "C",
        },
    }
    return json.dumps({"installation_structure": record}).encode()


class _Connection:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0
        self.received = bytearray()

    def send(self, request: Request) -> None:
        kind, uid, body = request
        head = (
            f"POST /api/v1/{kind}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip, deflate\r\n"
            f"Accept: */*\r\nUser-Agent: python-requests/2.11.1\r\nConnection: keep-alive\r\n"
            f"content-type: application/json\r\nmaster-node-uid: {uid}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.received.clear()
        self.started = time.perf_counter()
        self.socket.sendall(head.encode() + body)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body, once all of it is there."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.received += data
        head, end, content = bytes(self.received).partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(content) < int(length[1]):
            return None
        return int(head[9:12]), content


def send_all(port: int, requests: Iterable[Request], check: Callable[[int, bytes], None]) -> list[float]:
    """Send over eight kept-alive connections, as fast as answers come; returns the times in milliseconds.

    One thread and hardly any work a request: the clients share the machine with what is measured.
    """
    source, times = iter(requests), []
    with contextlib.ExitStack() as closing, selectors.DefaultSelector() as ready:
        for request in itertools.islice(source, CONNECTIONS):
            connection = _Connection(port)
            closing.callback(connection.socket.close)
            ready.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(request)
        while ready.get_map():
            for key, _ in ready.select():
                connection = key.data
                answer = connection.answer()
                if answer is None:
                    continue
                times.append((time.perf_counter() - connection.started) * 1000)
                check(*answer)
                following = next(source, None)
                if following is None:
                    ready.unregister(connection.socket)
                else:
                    connection.send(following)
    return times


def cpu_seconds(*roots: int) -> float:
    """CPU of processes, of those below them, and of those of them that ended.

    Running threads are counted by the scheduler, in nanoseconds; only ended processes in ticks of the clock.
    """
    total = 0.0
    for pid in {pid for root in roots for pid in (root, *_below(root))}:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            threads = [path.read_text().split()[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, threads)) / 1e9 + sum(map(int, fields[13:15])) / _TICK
    return total


def busy_seconds() -> float:
    """CPU that everything on the machine has taken: user, nice, system, interrupts."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[place]) for place in (0, 1, 2, 5, 6)) / _TICK


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _below(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    found = []
    for child in map(int, children):
        found += [child, *_below(child)]
    return found
