"""Which settings of a cluster may be kept: switches, counts, and names of a program's own choices.

Keys (``admin_key``, ``mon_key``, ``fsid``…), addresses and free text are not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .shape import DROP, LABEL, Shape, either, flag, many, number, obj, presence, word

_COUNT = either(number, word("[0-9]{1,9}"))

_SWITCHES = (
    "assign_public_to_all_nodes", "auth_s3_keystone_ceph", "auto_assign_floating_ip",
    "brute_force_protection", "ceilometer", "corosync_verified", "debug_mode",
    "ds_use_discover", "ds_use_error", "ds_use_provisioned", "ds_use_ready", "ephemeral_ceph",
    "heat", "images_ceph", "images_vcenter", "ironic",
    "ironic_provision_network", "iser", "mongo", "murano", "murano-cfapi",
    "murano_glance_artifacts_plugin", "neutron_dvr", "neutron_l2_pop", "neutron_l3_ha",
    "neutron_qos", "nova_quota", "nsx", "nsx_replication", "objects_ceph",
    "propagate_task_deploy", "public_ssl_horizon", "public_ssl_services", "puppet_debug",
    "resume_guests_state_on_host_boot", "sahara", "security_enabled", "service_enabled",
    "task_deploy", "tenant_quotas", "use_cow_images", "use_vcenter", "vcenter", "vlan_splinters_ovs",
    "volumes_ceph", "volumes_lvm", "volumes_vmdk",
    "workloads_collector_enabled", "zabbix",
)  # fmt: skip

# Of the kernel's command line: parameters that say how a machine is run, none that could name one.
_KERNEL_PARAMETER = re.compile(
    r"(?:console|net\.ifnames|biosdevname|rootdelay|nomodeset|quiet|splash|iommu|intel_iommu|amd_iommu|hugepages|hugepagesz"
    r"|default_hugepagesz|isolcpus|nohz|nohz_full|rcu_nocbs|transparent_hugepage|numa_balancing|elevator|ipv6\.disable"
    r"|mce|nosmt|mitigations|pcie_aspm|processor\.max_cstate|intel_idle\.max_cstate)(?:=[A-Za-z0-9,-]{1,24})?"
)


def _kernel(value: Any) -> Any:
    if not isinstance(value, str):
        return None if value is None else DROP
    return " ".join(part for part in value.split()[:100] if _KERNEL_PARAMETER.fullmatch(part))


ATTRIBUTES: Mapping[str, Shape] = {
    **dict.fromkeys(_SWITCHES, flag),
    "external_mongo_replset": presence,
    "external_ntp_list": presence,
    "external_dns_list": presence,
    "kernel_params": _kernel,
    "mellanox_vf_num": either(flag, _COUNT),
    "nsx_transport": LABEL,
    "volumes_block_device": either(flag, obj({"value": flag})),
    "interval": _COUNT,
    "libvirt_type": LABEL,
    "mellanox": LABEL,
    "osd_pool_size": _COUNT,
    "provision_method": LABEL,
    "public_ssl_cert_source": LABEL,
    "repos": many(
        obj(
            {
                "name": LABEL,
                "section": word(r"[a-z /-]*"),
                "suite": word(r"[a-z0-9./-]*"),
                "type": LABEL,
                "priority": _COUNT,
            }
        ),
        100,
    ),
    "rotate": _COUNT,
    "security_groups": LABEL,
    "serialization_policy": LABEL,
    "syslog_transport": LABEL,
    "vlan_splinters": LABEL,
}
"""Setting -> shape, under the flat names that nodes have always sent."""
