// What each chart shows: six distributions, as rows of label and count.

import type { Counts, Numbers } from "./api";
import { byNumber } from "./format";

export type Shape = "columns" | "bars" | "ring";

export interface Item {
  label: string;
  value: number;
  tone?: "good" | "bad" | "muted" | "accent";
}

export interface Distribution {
  id: string;
  title: string;
  subtitle: string;
  unit: string;
  axis: string;
  shape: Shape;
  items: Item[];
}

const NAMES: Record<string, string> = {
  kvm: "KVM",
  qemu: "QEMU",
  vcenter: "vCenter",
  xen: "Xen",
  ubuntu: "Ubuntu",
  centos: "CentOS",
  null: "n/a",
  "": "n/a",
};
const MOST_IN_RING = 6;

const named = (label: string): string => NAMES[label] ?? label;

function numeric(counts: Counts): Item[] {
  return Object.entries(counts)
    .sort(([a], [b]) => byNumber(a, b))
    .map(([label, value]) => ({ label: named(label), value }));
}

function ranked(counts: Counts): Item[] {
  return Object.entries(counts)
    .sort(([a, first], [b, second]) => second - first || a.localeCompare(b))
    .map(([label, value]) => ({ label: named(label), value }));
}

/** The largest ones, the rest as one, so that a ring stays readable. */
function few(items: Item[]): Item[] {
  if (items.length <= MOST_IN_RING) return items;
  const rest = items.slice(MOST_IN_RING - 1).reduce((sum, item) => sum + item.value, 0);
  return [...items.slice(0, MOST_IN_RING - 1), { label: "other", value: rest, tone: "muted" }];
}

function status(item: Item): Item {
  if (item.label === "operational") return { ...item, tone: "good" };
  if (item.label.includes("error")) return { ...item, tone: "bad" };
  return item;
}

export function distributions({ distributions: found, releases, release }: Numbers): Distribution[] {
  const { installations, environments } = found;
  const operable = "operational or in error";
  return [
    {
      id: "releases",
      title: "Installations by release",
      subtitle: "all installations; choose one to filter",
      unit: "installations",
      axis: "Release",
      shape: "columns",
      items: releases.releases.map((row) => ({
        label: row.release,
        value: row.installations,
        ...(release && row.release !== release ? { tone: "muted" as const } : {}),
      })),
    },
    {
      id: "environments-num",
      title: "Installations by number of environments",
      subtitle: "how many environments a master node runs",
      unit: "installations",
      axis: "Environments",
      shape: "columns",
      items: numeric(installations.environments_num),
    },
    {
      id: "nodes-num",
      title: "Environments by number of nodes",
      subtitle: operable,
      unit: "environments",
      axis: "Nodes",
      shape: "columns",
      items: numeric(environments.nodes_num),
    },
    {
      id: "statuses",
      title: "Environments by status",
      subtitle: "all environments",
      unit: "environments",
      axis: "Status",
      shape: "bars",
      items: ranked(environments.statuses).map(status),
    },
    {
      id: "hypervisors",
      title: "Hypervisors",
      subtitle: operable,
      unit: "environments",
      axis: "Hypervisor",
      shape: "ring",
      items: few(ranked(environments.hypervisors_num)),
    },
    {
      id: "oses",
      title: "Operating systems",
      subtitle: operable,
      unit: "environments",
      axis: "Operating system",
      shape: "ring",
      items: few(ranked(environments.oses_num)),
    },
  ];
}
