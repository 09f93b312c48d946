"""What existed in the field: releases and their builds, plugins, hardware. Plain data, no behaviour.

The builds are those that the seed of filtering rules knows as released; `TEST_BUILDS` are deliberately not
among them (contract, "Filtering of test builds").
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """A Fuel release: how often it is met (`weight`), what it installs and how its builds are named."""

    version: str
    weight: int
    openstack: str
    openstack_name: str
    systems: tuple[tuple[str, str], ...]
    """Pairs (operating system, name of the OpenStack release on it)."""
    builds: tuple[str, ...] = ()
    """Released `build_id`s, before 8.0."""
    packages: tuple[tuple[str, ...], ...] = ()
    """Released sets of `fuel_packages`, from 8.0 on."""
    feature_groups: tuple[str, ...] = ("mirantis",)

    @property
    def has_packages(self) -> bool:
        """From 8.0 on a node tells its packages instead of a build id."""
        return bool(self.packages)

    @property
    def has_workloads(self) -> bool:
        """OpenStack workloads are collected from 6.1 on."""
        return self.version != "6.0"


RELEASES: tuple[Release, ...] = (
    Release(
        "6.0", 9, "2014.2-6.0", "Juno",
        (("CentOS", "Juno on CentOS 6.5"), ("Ubuntu", "Juno on Ubuntu 12.04.4")),
        builds=("2014-12-26_14-25-46", "2015-01-17_19-13-12"),
    ),
    Release(
        "6.1", 14, "2014.2.2-6.1", "Juno",
        (("Ubuntu", "Juno on Ubuntu 14.04.1"), ("CentOS", "Juno on CentOS 6.5")),
        builds=("2015-06-19_13-02-31",),
    ),
    Release(
        "7.0", 18, "2015.1.0-7.0", "Kilo",
        (("Ubuntu", "Kilo on Ubuntu 14.04"),),
        builds=("2015-09-28_04-12-20", "2015-11-25_10-07-51"),
        feature_groups=("mirantis", "experimental"),
    ),
    Release(
        "8.0", 20, "liberty-8.0", "Liberty",
        (("Ubuntu", "Liberty on Ubuntu 14.04"), ("Ubuntu", "Liberty on Ubuntu + UCA 14.04")),
        packages=(("fuel-8.0.0-1.mos6344.noarch", "fuel-nailgun-8.0.0-1.mos8661.noarch"),),
        feature_groups=(),
    ),
    Release(
        "9.0", 25, "mitaka-9.0", "Mitaka",
        (("Ubuntu", "Mitaka on Ubuntu 14.04"), ("Ubuntu", "Mitaka on Ubuntu+UCA 14.04")),
        packages=(
            ("fuel-9.0.0-1.mos6349.noarch", "fuel-nailgun-9.0.0-1.mos8764.noarch"),
            ("fuel-9.0.0-1.mos6350.noarch", "fuel-nailgun-9.0.0-1.mos8865.noarch"),
        ),
        feature_groups=("advanced",),
    ),
    Release(
        "10.0", 11, "newton-10.0", "Newton",
        (("Ubuntu", "Newton on Ubuntu 16.04"),),
        packages=(("fuel-nailgun-10.0.0-1.mos8212.noarch",),),
        feature_groups=("experimental", "advanced"),
    ),
)  # fmt: skip

TEST_BUILDS: dict[str, str] = {
    "6.0": "2014-10-03_00-01-08",
    "6.1": "2015-03-30_22-54-44",
    "7.0": "2015-07-27_08-33-01",
    "8.0": "fuel-nailgun-8.0.0-0.test0042.noarch",
    "9.0": "fuel-nailgun-9.0.0-0.test1742.noarch",
    "10.0": "fuel-nailgun-10.0.0-0.test0815.noarch",
}
"""A build of each release that was never released: a build id before 8.0, a package from 8.0 on."""

PLUGINS: tuple[tuple[str, str, str], ...] = (
    ("fuel-plugin-contrail", "4.0.1", "contrail"),
    ("lma_collector", "0.9.0", "monitoring"),
    ("elasticsearch_kibana", "0.9.0", "monitoring"),
    ("influxdb_grafana", "0.9.0", "monitoring"),
    ("ldap", "3.0.0", "identity"),
    ("detach-database", "1.1.0", "tooling"),
    ("fuel-plugin-nsxv", "3.0.0", "network"),
    ("fuel-plugin-midonet", "3.0.1", "network"),
    ("cinder_netapp", "4.1.0", "storage"),
    ("scaleio", "2.1.2", "storage"),
    ("zabbix_monitoring", "2.5.1", "monitoring"),
)
"""Triples (name, version, group)."""


@dataclass(frozen=True)
class Machine:
    """A model of hardware; `virtual` ones report what hypervisors report."""

    weight: int
    manufacturer: str
    product: str
    family: str
    cpu: str
    frequency_mhz: int
    cores: tuple[int, ...]
    memory_gib: tuple[int, ...]
    disk: str
    virtual: bool = False


MACHINES: tuple[Machine, ...] = (
    Machine(
        24, "Supermicro", "X9DRW", "To be filled by O.E.M.",
        "Intel(R) Xeon(R) CPU E5-2620 0 @ 2.00GHz", 2001, (12, 24), (32, 64, 128), "TOSHIBA MK1002TS",
    ),
    Machine(
        18, "Dell Inc.", "PowerEdge R630", "",
        "Intel(R) Xeon(R) CPU E5-2650 v3 @ 2.30GHz", 2300, (20, 40), (64, 128, 256), "PERC H730 Mini",
    ),
    Machine(
        14, "HP", "ProLiant DL380 Gen9", "ProLiant",
        "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", 2500, (24, 48), (128, 256), "LOGICAL VOLUME",
    ),
    Machine(
        8, "Cisco Systems Inc", "UCSB-B200-M4", "",
        "Intel(R) Xeon(R) CPU E5-2690 v3 @ 2.60GHz", 2600, (24, 48), (256, 384), "UCS-MR9271-8i",
    ),
    Machine(
        6, "Huawei", "RH2288 V3", "Server Platform",
        "Intel(R) Xeon(R) CPU E5-2640 v3 @ 2.60GHz", 2601, (16, 32), (64, 128), "ST1000NX0423",
    ),
    Machine(
        18, "QEMU", "Standard PC (i440FX + PIIX, 1996)", "",
        "QEMU Virtual CPU version 2.0.0", 2199, (1, 2, 4), (2, 4, 8), "QEMU HARDDISK", virtual=True,
    ),
    Machine(
        7, "innotek GmbH", "VirtualBox", "Virtual Machine",
        "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz", 3392, (1, 2), (2, 4), "VBOX HARDDISK", virtual=True,
    ),
    Machine(
        5, "VMware, Inc.", "VMware Virtual Platform", "",
        "Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 2599, (2, 4, 8), (4, 8, 16), "Virtual disk", virtual=True,
    ),
)  # fmt: skip

RESOURCE_TYPES: tuple[str, ...] = (
    "vm",
    "tenant",
    "volume",
    "security_group",
    "keystone_user",
    "flavor",
    "cluster_stats",
    "image",
)
