"""Bodies for the collector's benchmark, the clients that send them, and the CPU that it costs others."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CONNECTIONS = 8
_TICK = os.sysconf("SC_CLK_TCK")


def action_logs(uid: str, first: int, dice: random.Random) -> bytes:
    """100 records of about 0.85 kB, as a node words them."""
    records = []
    for number in range(first, first + 100):
        second = dice.randrange(10, 50)
        settings = {f"setting_{key}": {"value": dice.randrange(10**6), "type": "text"} for key in range(4)}
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
        records.append({"body": body, "external_id": number, "master_node_uid": uid})
    return json.dumps({"action_logs": records}).encode()


def workloads(uid: str, first: int, dice: random.Random) -> bytes:
    """10 records of about 1 kB; the values differ from call to call."""
    records = []
    for number in range(first, first + 10):
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


def structure(uid: str, version: int) -> bytes:
    """A structure of about 60 kB with everything in it that is to be redacted."""

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

    attributes = {f"attribute_{number}": bool(number % 2) for number in range(60)}
    attributes |= {
        "admin_key": "k",
        "mon_key": "k",
        "radosgw_key": "k",
        "bootstrap_osd_key": "k",
        "fsid": "f",
    }  # type: ignore[dict-item]
    cluster = {"id": 1, "nodes_num": 12, "nodes": [node(number) for number in range(12)], "mode": "ha_compact",
        "release": {"version": "2015.1.0-7.0", "os": "Ubuntu", "name": "Kilo"}, "status": "operational",
        "attributes": attributes}  # fmt: skip
    record = {
        "master_node_uid": uid,
        "clusters_num": version,
        "allocated_nodes_num": 12,
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


Request = tuple[str, str, bytes]  # kind, uid, body


def send_all(port: int, requests: Iterable[Request], check: Callable[[int, bytes], None]) -> list[float]:
    """Send over eight kept-alive connections, as fast as answers come; returns the times in milliseconds."""
    source = iter(requests)
    lock = threading.Lock()
    times: list[float] = []
    errors: list[BaseException] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            while True:
                with lock:
                    request = next(source, None)
                if request is None:
                    return
                kind, uid, body = request
                headers = {"content-type": "application/json", "master-node-uid": uid}
                started = time.perf_counter()
                connection.request("POST", f"/api/v1/{kind}/", body, headers)
                answer = connection.getresponse()
                content = answer.read()
                times.append((time.perf_counter() - started) * 1000)
                check(answer.status, content)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return times


def cpu_seconds(root: int) -> float:
    """CPU of a process, of those below it, and of those of them that ended."""
    total = 0.0
    for pid in [root, *_below(root)]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(value) for value in fields[11:15]) / _TICK
    return total


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
