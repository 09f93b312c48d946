"""The nodes of an environment: roles, states and the hardware that Fuel's agent reported of them."""

from random import Random
from typing import Any

from fleet.catalogue import MACHINES, Machine
from fleet.leaks import Leaks

_GIB = 1024**3


def pick_machine(rng: Random) -> Machine:
    """A model of hardware, as often as it is met. One environment is mostly built from one model."""
    return rng.choices(MACHINES, [machine.weight for machine in MACHINES])[0]


def roles_of(rng: Random, total: int, *, ceph: bool, mongo: bool) -> list[list[str]]:
    """The roles of `total` nodes: one or three controllers first, then computes and storage."""
    controllers = 3 if total >= 5 else 1
    roles = []
    for index in range(total):
        if index < controllers:
            roles.append(["controller", "mongo"] if mongo and index == 0 else ["controller"])
        elif index == controllers or rng.random() < 0.75:
            storage = "ceph-osd" if ceph else "cinder"
            roles.append(["compute", storage] if rng.random() < 0.4 else ["compute"])
        else:
            roles.append([rng.choice(["ceph-osd"] if ceph else ["cinder", "base-os", "ironic"])])
    return roles


def node(
    rng: Random,
    node_id: int,
    roles: list[str],
    *,
    machine: Machine,
    os: str | None,
    status: str,
    group_id: int,
    leaks: Leaks,
) -> dict[str, Any]:
    """A node as a structure carries it. `os` is null for one that has just been discovered."""
    pending = status == "discover"
    return {
        "id": node_id,
        "group_id": group_id,
        "name": f"node-{node_id}",
        "roles": [] if pending else roles,
        "pending_roles": roles if pending else [],
        "pending_addition": pending,
        "pending_deletion": False,
        "status": status,
        "error_type": "deploy" if status == "error" else None,
        "online": rng.random() < 0.97,
        "os": os,
        "manufacturer": machine.manufacturer,
        "platform_name": machine.product,
        "progress": 100,
        "nic_interfaces": [{"id": node_id * 10 + nic} for nic in range(rng.choice((2, 2, 4)))],
        "bond_interfaces": [{"id": node_id * 10 + 9}] if rng.random() < 0.2 else [],
        "meta": meta(rng, machine, leaks),
    }


def meta(rng: Random, machine: Machine, leaks: Leaks) -> dict[str, Any]:
    """What the agent found out about the machine. Sizes are bytes, frequencies MHz, speeds Mbit/s."""
    cores = rng.choice(machine.cores)
    memory = rng.choice(machine.memory_gib) * _GIB
    slots = 1 if machine.virtual else rng.choice((8, 16))
    return {
        "cpu": {
            "real": 1 if machine.virtual else 2,
            "total": cores,
            "spec": [{"model": machine.cpu, "frequency": machine.frequency_mhz}] * cores,
        },
        "memory": {
            "slots": slots,
            "total": memory,
            "maximum_capacity": memory if machine.virtual else memory * 2,
            "devices": [{"type": "DDR3", "frequency": 1333, "size": memory // slots}] * slots,
        },
        "disks": [_disk(rng, machine, letter) for letter in "abcd"[: rng.randint(1, 4)]],
        "interfaces": [_interface(rng, index, leaks) for index in range(rng.choice((2, 2, 4)))],
        "system": {
            "manufacturer": machine.manufacturer,
            "product": machine.product,
            "family": machine.family,
            "version": "Not Specified",
            "serial": leaks.serial(rng),
            "fqdn": leaks.host_name(rng),
        },
        "numa_topology": {
            "numa_nodes": [{"id": 0, "cpus": list(range(cores)), "memory": memory}],
            "distances": [["1.0"]],
            "supported_hugepages": [2048],
        },
    }


def _disk(rng: Random, machine: Machine, letter: str) -> dict[str, Any]:
    size = rng.choice((64, 100)) if machine.virtual else rng.choice((240, 1000, 2000))
    return {
        "disk": f"sd{letter}",
        "name": f"sd{letter}",
        "model": machine.disk,
        "size": size * 1000**3,
    }


def _interface(rng: Random, index: int, leaks: Leaks) -> dict[str, Any]:
    return {
        "name": f"eth{index}",
        "driver": rng.choice(("igb", "ixgbe", "e1000", "virtio_net")),
        "max_speed": rng.choice((1000, 10000)),
        "current_speed": rng.choice((1000, 10000, None)),
        "pxe": index == 0,
        "bus_info": f"0000:0{index + 1}:00.0",
        "mac": leaks.mac(rng),
        "offloading_modes": [
            {"name": "rx-checksumming", "state": None, "sub": []},
            {
                "name": "tx-checksumming",
                "state": True,
                "sub": [{"name": "tx-checksum-ipv4", "state": None, "sub": []}],
            },
        ],
    }
