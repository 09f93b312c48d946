// The front page's six distributions, and what every distribution is: rows of label and count.

import type { Chart } from "chart.js";

import type { Counts, Numbers } from "./api";
import { colours, draw } from "./chart";
import { element } from "./dom";
import { canvasIn, type Figure, scrolled } from "./figure";
import { byNumber, count, share } from "./format";
import { palette } from "./theme";

export type Shape = "columns" | "bars" | "ring";

export interface Item {
  label: string;
  value: number;
  tone?: "good" | "bad" | "muted" | "accent";
}

export interface DistributionContent {
  id: string;
  title: string;
  subtitle: string;
  model?: string;
  unit: string;
  axis: string;
  shape: Shape;
  items: Item[];
  /** The items are parts of one whole, so that a share says something. */
  whole?: boolean;
  /** How much the whole is, where only its largest parts are shown. */
  total?: number;
}

export class Distribution implements Figure {
  readonly id: string;
  readonly title: string;
  readonly subtitle: string;
  readonly model: string | null;
  readonly shape: Shape;

  constructor(readonly content: DistributionContent) {
    ({ id: this.id, title: this.title, subtitle: this.subtitle, shape: this.shape } = content);
    this.model = content.model ?? null;
  }

  get items(): Item[] {
    return this.content.items;
  }

  get empty(): boolean {
    return this.total === 0;
  }

  get total(): number {
    return this.content.total ?? sumOf(this.items);
  }

  /** A value's share of the whole as text; nothing where the items are no parts of one. */
  share(value: number): string {
    return this.content.whole === false ? "" : share(value, this.total);
  }

  draw(body: HTMLElement, chosen: (label: string) => void): Chart {
    const sentence = this.items.map((item) => `${item.label}: ${count(item.value)}`).join(", ");
    const canvas = canvasIn(body, `${this.title}. ${sentence}.`);
    if (this.shape === "ring") {
      const middle = element("p", { class: "middle", "aria-hidden": "true" }, element("b", {}, count(this.total)));
      canvas.parentElement?.append(middle);
      body.append(this.legend());
    }
    const chart = draw(canvas, this, palette());
    canvas.addEventListener("click", (event) => {
      const hit = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false)[0];
      const item = hit && this.items[hit.index];
      if (item) chosen(item.label);
    });
    return chart;
  }

  table(): HTMLElement {
    const { unit, axis, whole } = this.content;
    const heads = [axis, unit.charAt(0).toUpperCase() + unit.slice(1), ...(whole === false ? [] : ["Share"])];
    const rows = this.items.map((item) => [item.label, count(item.value), this.share(item.value)]);
    return scrolled(this.title, heads, whole === false ? rows.map((row) => row.slice(0, 2)) : rows);
  }

  private legend(): HTMLElement {
    const tints = colours(this.items, "ring", palette());
    const rows = this.items.map((item, index) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = tints[index] ?? "";
      return element(
        "li",
        {},
        swatch,
        element("span", { class: "name", title: item.label }, item.label),
        element("b", {}, count(item.value)),
        element("span", { class: "share" }, this.share(item.value)),
      );
    });
    return element("ul", { class: "legend" }, ...rows);
  }
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

export const named = (label: string): string => NAMES[label] ?? label;

function numeric(counts: Counts): Item[] {
  return Object.entries(counts)
    .sort(([a], [b]) => byNumber(a, b))
    .map(([label, value]) => ({ label: named(label), value }));
}

export function ranked(counts: Counts): Item[] {
  return Object.entries(counts)
    .sort(([a, first], [b, second]) => second - first || a.localeCompare(b))
    .map(([label, value]) => ({ label: named(label), value }));
}

export function sumOf(items: Item[]): number {
  return items.reduce((sum, item) => sum + item.value, 0);
}

/** The largest ones, the rest as one, so that a ring stays readable. */
export function few(items: Item[]): Item[] {
  if (items.length <= MOST_IN_RING) return items;
  const rest = sumOf(items.slice(MOST_IN_RING - 1));
  return [...items.slice(0, MOST_IN_RING - 1), { label: "other", value: rest, tone: "muted" }];
}

export function status(item: Item): Item {
  if (item.label === "operational") return { ...item, tone: "good" };
  if (item.label.includes("error")) return { ...item, tone: "bad" };
  return item;
}

export function distributions({ distributions: found, releases, release }: Numbers): Distribution[] {
  const { installations, environments } = found;
  const operable = "operational or in error";
  const contents: DistributionContent[] = [
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
  return contents.map((content) => new Distribution(content));
}
