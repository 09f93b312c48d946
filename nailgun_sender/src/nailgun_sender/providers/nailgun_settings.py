"""Where a Nailgun keeps the settings of a cluster, and the flat names under which they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SECTIONS: Mapping[str, Sequence[str]] = {
    "atop": ("service_enabled", "interval", "rotate"),
    "common": (
        "auto_assign_floating_ip", "debug>debug_mode", "libvirt_type", "nova_quota",
        "propagate_task_deploy", "puppet_debug", "resume_guests_state_on_host_boot",
        "security_group>security_groups", "security_groups", "serialization_policy", "task_deploy",
        "use_cow_images", "use_vcenter",
    ),
    "additional_components": (
        "ceilometer", "heat", "ironic", "mongo", "murano", "murano-cfapi",
        "murano_glance_artifacts_plugin", "sahara",
    ),
    "neutron_advanced_configuration": (
        "neutron_dvr", "neutron_l2_pop", "neutron_l3_ha", "neutron_qos",
    ),
    "storage": (
        "auth_s3_keystone_ceph", "ephemeral_ceph", "images_ceph", "images_vcenter", "iser",
        "objects_ceph", "osd_pool_size", "volumes_block_device", "volumes_ceph", "volumes_lvm",
        "volumes_vmdk",
    ),
    "public_ssl": (
        "cert_source>public_ssl_cert_source", "horizon>public_ssl_horizon",
        "services>public_ssl_services",
    ),
    "corosync": ("verified>corosync_verified",),
    "external_dns": ("dns_list>external_dns_list",),
    "external_ntp": ("ntp_list>external_ntp_list",),
    "external_mongo": ("mongo_replset>external_mongo_replset",),
    "ironic_settings": ("ironic_provision_network",),
    "murano_settings": ("murano_glance_artifacts_plugin",),
    "neutron_mellanox": ("plugin>mellanox", "vf_num>mellanox_vf_num"),
    "kernel_params": ("kernel>kernel_params",),
    "nsx_plugin": (
        "metadata.enabled>nsx", "replication_mode>nsx_replication", "connector_type>nsx_transport",
    ),
    "provision": ("method>provision_method", "ds_use_discover", "ds_use_provisioned",
                  "ds_use_ready", "ds_use_error"),
    "public_network_assignment": ("assign_to_all_nodes>assign_public_to_all_nodes",),
    "repo_setup": ("repos",),
    "ssh": ("security_enabled", "brute_force_protection"),
    "syslog": ("syslog_transport",),
    "vcenter": ("metadata.enabled>vcenter",),
    "vlan_splinters": ("vswitch>vlan_splinters", "metadata.enabled>vlan_splinters_ovs"),
    "workloads_collector": ("enabled>workloads_collector_enabled",),
    "zabbix": ("metadata.enabled>zabbix",),
}  # fmt: skip

_PRESENCE = frozenset({"external_dns_list", "external_ntp_list", "external_mongo_replset"})


def paths() -> Mapping[str, tuple[str, str]]:
    """Return flat name -> (section, setting) as Nailgun's ``attributes.editable`` nests them."""
    found: dict[str, tuple[str, str]] = {}
    for section, settings in _SECTIONS.items():
        for each in settings:
            setting, _, name = each.partition(">")
            found.setdefault(name or setting, (section, setting))
    return found


def flattened(editable: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ``attributes.editable`` under their flat names.

    A setting is ``{section: {setting: {"value": …}}}``. What is not there is left out.
    """
    told: dict[str, Any] = {}
    for section, settings in _SECTIONS.items():
        for each in settings:
            setting, _, name = each.partition(">")
            value = _value(editable.get(section), setting)
            if value is not None:
                flat = name or setting
                told[flat] = bool(value) if flat in _PRESENCE else value
    return told


def zones_told(editable: Any) -> dict[str, Any]:
    """Return what is told of the availability zones in ``vmware_attributes.editable``: switches and counts."""
    value = editable.get("value") if isinstance(editable, Mapping) else None
    zones = value.get("availability_zones") if isinstance(value, Mapping) else None
    found = [zone for zone in zones if isinstance(zone, Mapping)] if isinstance(zones, list) else []
    return {
        "vmware_az_cinder_enable": [bool((zone.get("cinder") or {}).get("enable")) for zone in found],
        "vmware_az_nova_computes_num": [len(zone.get("nova_computes") or ()) for zone in found],
    }


def _value(section: Any, setting: str) -> Any:
    if not isinstance(section, Mapping):
        return None
    if setting.startswith("metadata."):
        metadata = section.get("metadata")
        return metadata.get(setting[len("metadata.") :]) if isinstance(metadata, Mapping) else None
    found = section.get(setting)
    return found.get("value") if isinstance(found, Mapping) else None
