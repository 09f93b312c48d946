"""The installation structure: what a master node tells about itself, its environments and their nodes."""

from datetime import datetime
from random import Random
from typing import Any

from fleet.catalogue import PLUGINS, TEST_BUILDS, Release
from fleet.environment import Environment
from fleet.hardware import node, pick_machine, roles_of
from fleet.leaks import Leaks

_SWITCHES = (
    "assign_public_to_all_nodes", "auto_assign_floating_ip", "ceilometer", "corosync_verified",
    "debug_mode", "external_ntp_list", "heat", "ironic", "murano", "murano-cfapi", "neutron_dvr",
    "neutron_l2_pop", "neutron_l3_ha", "neutron_qos", "nova_quota", "public_ssl_horizon",
    "public_ssl_services", "puppet_debug", "resume_guests_state_on_host_boot", "sahara",
    "task_deploy", "use_cow_images", "workloads_collector_enabled",
)  # fmt: skip


class Portrait:
    """What stays the same in all structures of one installation."""

    def __init__(self, rng: Random, uid: str, release: Release, leaks: Leaks, *, test: bool) -> None:
        self.rng = rng
        self.uid = uid
        self.release = release
        self.leaks = leaks
        self._software = self._pick_software(test)
        self._user = self._pick_user()
        self._clusters: dict[int, dict[str, Any]] = {}
        self._nodes: dict[int, list[dict[str, Any]]] = {}
        self._next_node = 1

    def structure(self, environments: list[Environment], moment: datetime) -> dict[str, Any]:
        """The structure as it is at the true UTC `moment`."""
        clusters = [
            self._cluster(env, moment) for env in environments if env.exists_at(moment)
        ]  # fmt: skip
        return {
            "master_node_uid": self.uid,
            "clusters_num": len(clusters),
            "allocated_nodes_num": sum(len(cluster["nodes"]) for cluster in clusters),
            "unallocated_nodes_num": self.rng.choices((0, 1, 2, 5), (60, 20, 15, 5))[0],
            "clusters": clusters,
            "user_information": self._user,
            **self._software,
        }

    def version_info(self, environment: Environment) -> dict[str, Any] | None:
        """What workloads say about versions: nothing before 8.0 (the cluster's own is used then)."""
        if not self.release.has_packages:
            return None
        fixed = self._fixed(environment)["release"]
        return {
            "fuel_version": self.release.version,
            "release_version": fixed["version"],
            "release_name": fixed["name"],
            "release_os": fixed["os"],
            "environment_version": fixed["version"],
        }

    def _pick_software(self, test: bool) -> dict[str, Any]:
        release = self.release
        about: dict[str, Any] = {
            "release": release.version,
            "api": "1" if release.has_packages else "1.0",
            "feature_groups": list(release.feature_groups),
        }
        trial = TEST_BUILDS[release.version]
        if release.has_packages:
            packages = [trial] if test else list(self.rng.choice(release.packages))
            return {"fuel_release": about, "fuel_packages": packages}
        about["build_id"] = trial if test else self.rng.choice(release.builds)
        about["build_number"] = str(self.rng.randint(1, 521))
        about["openstack_version"] = release.openstack
        for part in ("nailgun_sha", "fuellib_sha", "astute_sha"):
            about[part] = f"{self.rng.getrandbits(160):040x}"
        return {"fuel_release": about}

    def _pick_user(self) -> dict[str, Any]:
        if self.rng.random() < 0.6:
            return {"contact_info_provided": False}
        name, email, company = self.leaks.person(self.rng)
        return {"contact_info_provided": True, "name": name, "email": email, "company": company}

    def _cluster(self, env: Environment, moment: datetime) -> dict[str, Any]:
        fixed, status, size = self._fixed(env), env.status_at(moment), env.size_at(moment)
        nodes = self._grow_nodes(env, fixed, size)
        state = {"operational": "ready", "error": "error", "new": "discover"}.get(status, "ready")
        ids = [entry["id"] for entry in nodes]
        return {
            **fixed,
            "status": status,
            "nodes_num": size,
            "nodes": [self._in_state(entry, state, index) for index, entry in enumerate(nodes)],
            "node_groups": [{"id": env.cluster_id, "nodes": ids}],
        }

    def _in_state(self, entry: dict[str, Any], state: str, index: int) -> dict[str, Any]:
        if state == "discover":
            roles = entry["roles"]
            return {
                **entry, "status": state, "os": None, "roles": [], "pending_roles": roles,
                "pending_addition": True,
            }  # fmt: skip
        broken = state == "error" and index == 0
        return {**entry, "status": "error" if broken else "ready"}

    def _fixed(self, env: Environment) -> dict[str, Any]:
        if env.cluster_id not in self._clusters:
            self._clusters[env.cluster_id] = self._make_fixed(env)
        return self._clusters[env.cluster_id]

    def _make_fixed(self, env: Environment) -> dict[str, Any]:
        rng, release = self.rng, self.release
        system, name = rng.choice(release.systems)
        old = release.version in ("6.0", "6.1")
        return {
            "id": env.cluster_id,
            "mode": "multinode" if old and rng.random() < 0.25 else "ha_compact",
            "release": {"version": release.openstack, "os": system, "name": name},
            "attributes": self._attributes(),
            "fuel_version": release.version,
            "is_customized": rng.random() < 0.15,
            "net_provider": env.net_provider,
            "network_configuration": self._network(env.net_provider),
            "installed_plugins": self._plugins(),
            "vmware_attributes": {},
            "extensions": ["volume_manager"],
        }

    def _attributes(self) -> dict[str, Any]:
        rng = self.rng
        ceph = rng.random() < 0.45
        values: dict[str, Any] = {switch: rng.random() < 0.3 for switch in _SWITCHES}
        values |= {
            "images_ceph": ceph,
            "volumes_ceph": ceph,
            "objects_ceph": ceph and rng.random() < 0.5,
            "ephemeral_ceph": ceph and rng.random() < 0.4,
            "volumes_lvm": not ceph,
            "volumes_vmdk": False,
            "mongo": rng.random() < 0.2,
            "osd_pool_size": rng.choice(("2", "3")),
            "libvirt_type": rng.choices(("kvm", "qemu", "KVM", "vcenter"), (55, 35, 4, 6))[0],
            "vcenter": False,
            "provision_method": rng.choice(("image", "cobbler")),
            "syslog_transport": rng.choice(("tcp", "udp")),
            "public_ssl_cert_source": "self_signed",
            "kernel_params": "console=tty0 net.ifnames=0 biosdevname=0 rootdelay=90 nomodeset",
        }
        if self.release.has_packages:  # seen in real traffic of these releases
            for name in ("admin_key", "mon_key", "radosgw_key", "bootstrap_osd_key"):
                values[name] = self.leaks.key(rng)
        return values

    def _network(self, provider: str) -> dict[str, Any]:
        if provider == "nova_network":
            return {
                "net_manager": self.rng.choice(("FlatDHCPManager", "VlanManager")),
                "fixed_networks_vlan_start": self.rng.choice((None, 103)),
                "fixed_network_size": 256,
                "fixed_networks_amount": 1,
            }
        kinds = ("vlan", "gre") if self.release.version == "6.0" else ("vlan", "tun")
        return {"segmentation_type": self.rng.choice(kinds), "net_l23_provider": "ovs"}

    def _plugins(self) -> list[dict[str, Any]]:
        count = self.rng.choices((0, 1, 2, 4), (62, 20, 12, 6))[0]
        return [
            {
                "id": number,
                "name": name,
                "version": version,
                "fuel_version": [self.release.version],
                "package_version": "3.0.0",
                "releases": [{"os": "ubuntu", "version": self.release.openstack}],
                "groups": [group],
                "licenses": ["Apache License, Version 2.0"],
                "is_hotpluggable": self.rng.random() < 0.2,
            }
            for number, (name, version, group) in enumerate(self.rng.sample(PLUGINS, count), 1)
        ]

    def _grow_nodes(self, env: Environment, fixed: dict[str, Any], size: int) -> list[dict[str, Any]]:
        nodes = self._nodes.setdefault(env.cluster_id, [])
        attributes = fixed["attributes"]
        roles = roles_of(
            Random(f"{self.uid}/{env.cluster_id}"), max(size, len(nodes)),
            ceph=attributes["volumes_ceph"], mongo=attributes["mongo"],
        )  # fmt: skip
        machine = pick_machine(Random(f"{self.uid}/{env.cluster_id}/machine"))
        while len(nodes) < size:
            nodes.append(
                node(
                    self.rng, self._next_node, roles[len(nodes)], machine=machine,
                    os=fixed["release"]["os"].lower(), status="ready", group_id=env.cluster_id,
                    leaks=self.leaks,
                )
            )  # fmt: skip
            self._next_node += 1
        return nodes[:size]
