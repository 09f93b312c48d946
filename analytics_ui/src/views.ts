// The page's views: which reports each reads, and the figures it makes of them.

import type { Counts, Report, Row } from "./api";
import { Distribution, type DistributionContent, few, named, ranked, status, sumOf } from "./distribution";
import type { Figure } from "./figure";
import { byNumber, duration, percent } from "./format";
import { Matrix } from "./matrix";
import { along, calendar, counted, distinct, number, summed, text } from "./rows";
import { type Series, Trend } from "./trend";

export type Reports = Map<string, Report>;

export interface View {
  id: string;
  name: string;
  reports: readonly string[];
  figures(found: Reports): Figure[];
}

const SIZES = ["0", "1-3", "4-10", "11-30", "31-100", "100+", "unknown"];
const MOST_BARS = 9;
const MOST_WEEKS = 12;
const MOST_COHORTS = 26;
const SHOWN_DAYS = 184;
const SHOWN_WEEKS = 26;
const SECONDS_A_MINUTE = 60;

/** Which reports a release can be asked of; the others count all releases. */
export const BY_RELEASE: ReadonlySet<string> = new Set(["environments", "nodes", "deployments", "network-verification"]);

const rowsOf = (found: Reports, name: string): Row[] => found.get(name)?.rows ?? [];

const daysOf = (rows: Row[], column: string): string[] => calendar(rows, column, 1, SHOWN_DAYS);
const weeksOf = (rows: Row[]): string[] => calendar(rows, "week_start", 7, SHOWN_WEEKS);

/** A series for each named column, along the labels of the axis' column. */
function lines(rows: Row[], labels: string[], axis: string, columns: Record<string, string>): Series[] {
  return Object.entries(columns).map(([name, column]) => ({ name, values: along(rows, labels, axis, column) }));
}

function growth(found: Reports): Figure[] {
  const days = rowsOf(found, "growth");
  const weeks = rowsOf(found, "activity");
  const model = "rpt_installation_daily";
  const weekly = { model: "rpt_installation_weekly", axis: "Week from", labels: weeksOf(weeks) } as const;
  const over = { axis: "Day", shape: "lines", model, labels: daysOf(days, "day") } as const;
  return [
    new Trend({
      ...over,
      id: "installations-daily",
      title: "Installations and environments",
      subtitle: "by day of receipt, all releases",
      series: lines(days, over.labels, "day", { Installations: "installations", Environments: "environments" }),
    }),
    new Trend({
      ...over,
      id: "nodes-daily",
      title: "Nodes",
      subtitle: "of environments, by day of receipt, all releases",
      series: lines(days, over.labels, "day", { Nodes: "nodes" }),
    }),
    new Trend({
      id: "activity-weekly",
      title: "Active installations",
      subtitle: "by week of receipt; the last may not be over",
      ...weekly,
      shape: "stack",
      series: lines(weeks, weekly.labels, "week_start", {
        Retained: "retained_installations",
        Returning: "returning_installations",
        New: "new_installations",
      }),
    }),
    new Trend({
      id: "lost-weekly",
      title: "New and lost installations",
      subtitle: "lost: heard from the week before, not in this one",
      ...weekly,
      shape: "groups",
      series: toned(lines(weeks, weekly.labels, "week_start", { New: "new_installations", Lost: "lost_installations" })),
    }),
    retention(rowsOf(found, "retention")),
    upgrades(rowsOf(found, "upgrades")),
  ];
}

/** The first series good, the second bad. */
function toned([good, bad]: Series[]): Series[] {
  return [
    { ...(good as Series), tone: "good" },
    { ...(bad as Series), tone: "bad" },
  ];
}

function retention(rows: Row[]): Figure {
  const cohorts = distinct(rows, "cohort_week").slice(-MOST_COHORTS);
  const weeks = Math.min(Math.max(0, ...rows.map((row) => number(row, "weeks_since"))), MOST_WEEKS);
  const columns = Array.from({ length: weeks + 1 }, (_, week) => String(week));
  return new Matrix({
    id: "retention",
    title: "Retention",
    subtitle: "share heard from so many weeks after the first contact",
    model: "rpt_retention_cohort",
    axis: "Week of first contact",
    columns,
    rows: cohorts.map((cohort) => {
      const own = rows.filter((row) => row["cohort_week"] === cohort);
      const shares = along(own, columns, "weeks_since", "retention_rate");
      return { name: cohort, size: String(own[0]?.["cohort_installations"] ?? ""), shares };
    }),
  });
}

function upgrades(rows: Row[]): Figure {
  const items = rows.map((row) => ({
    label: `${text(row, "from_release") || "n/a"} → ${text(row, "to_release") || "n/a"}`,
    value: number(row, "upgrades"),
  }));
  return largest({
    id: "upgrades",
    title: "Upgrades",
    subtitle: "changes from one release to another",
    model: "rpt_upgrade_path",
    unit: "upgrades",
    axis: "From → to",
    shape: "bars",
    items: items.sort((a, b) => b.value - a.value),
  });
}

/** Bars of the largest items; where there are more, the subtitle says so, and shares are still of all. */
function largest(content: DistributionContent): Distribution {
  const { items, subtitle } = content;
  if (items.length <= MOST_BARS) return new Distribution(content);
  return new Distribution({
    ...content,
    subtitle: `${subtitle}; the ${MOST_BARS} largest of ${items.length}`,
    items: items.slice(0, MOST_BARS),
    total: sumOf(items),
  });
}

function deployments(found: Reports): Figure[] {
  const rows = rowsOf(found, "deployments");
  const releases = distinct(rows, "release").sort(byNumber);
  const sizes = SIZES.filter((size) => rows.some((row) => row["size_class"] === size));
  const model = "rpt_deployment";
  const bySize = { model, axis: "Nodes", labels: sizes } as const;
  const byReleaseAndSize = (column: string, unit = 1): Series[] =>
    releases.map((release) => {
      const values = along(rows.filter((row) => row["release"] === release), sizes, "size_class", column);
      return { name: release || "n/a", values: values.map((value) => (value === null ? null : value / unit)) };
    });
  const [attempts, failures] = [summed(rows, "size_class", "attempts"), summed(rows, "size_class", "failures")];
  const succeeded = sizes.map((size) => (attempts[size] ?? 0) - (failures[size] ?? 0));
  return [
    new Trend({
      ...bySize,
      id: "attempts",
      title: "Deployment attempts",
      subtitle: "by number of nodes",
      shape: "stack",
      series: [
        { name: "Not failed", values: succeeded, tone: "good" },
        { name: "Failed", values: sizes.map((size) => failures[size] ?? 0), tone: "bad" },
      ],
    }),
    new Trend({
      ...bySize,
      id: "failure-rate",
      title: "Failure rate",
      subtitle: "of attempts with a known outcome, by number of nodes and release",
      shape: "groups",
      series: byReleaseAndSize("failure_rate"),
      written: percent,
    }),
    new Trend({
      ...bySize,
      id: "failures-before",
      title: "Failures before a success",
      subtitle: "average, by number of nodes and release",
      shape: "groups",
      series: byReleaseAndSize("mean_failures_before_success"),
      written: (value) => value.toFixed(2),
    }),
    new Trend({
      ...bySize,
      id: "duration-median",
      title: "Median duration",
      subtitle: "of a deployment, by number of nodes and release",
      shape: "groups",
      series: byReleaseAndSize("median_duration_seconds", SECONDS_A_MINUTE),
      written: duration,
    }),
    new Trend({
      ...bySize,
      id: "duration-p95",
      title: "95th percentile of the duration",
      subtitle: "one of twenty deployments takes longer",
      shape: "groups",
      series: byReleaseAndSize("p95_duration_seconds", SECONDS_A_MINUTE),
      written: duration,
    }),
    verifications(rowsOf(found, "network-verification")),
  ];
}

function verifications(rows: Row[]): Figure {
  const labels = weeksOf(rows);
  const [all, failed] = [summed(rows, "week_start", "verifications"), summed(rows, "week_start", "failures")];
  return new Trend({
    id: "verifications",
    title: "Network verifications",
    subtitle: "by week of the event",
    model: "rpt_network_verification",
    axis: "Week from",
    shape: "stack",
    labels,
    series: [
      { name: "Not failed", values: labels.map((week) => (all[week] ?? 0) - (failed[week] ?? 0)), tone: "good" },
      { name: "Failed", values: labels.map((week) => failed[week] ?? 0), tone: "bad" },
    ],
  });
}

type Shown = Omit<DistributionContent, "items" | "model" | "unit"> & { dimension: string };

/** A distribution of one attribute: the largest values. */
function by(report: Report | undefined, unit: "environments" | "nodes", shown: Shown): Distribution {
  const { dimension, ...content } = shown;
  const counts: Counts = summed(counted(report, dimension), "item", unit);
  const items = ranked(counts).map((item) => ({ ...item, label: named(item.label).replaceAll("_", " ") }));
  const whole = { ...content, model: report?.model ?? "", unit };
  return content.shape === "ring" ? new Distribution({ ...whole, items: few(items) }) : largest({ ...whole, items });
}

function options(found: Reports): Figure[] {
  const report = found.get("environments");
  const several = { shape: "bars", whole: false } as const;
  const make = (shown: Shown) => by(report, "environments", shown);
  return [
    make({ ...several, id: "storage", title: "Storage options", subtitle: "current environments; several may be on", axis: "Option", dimension: "storage" }),
    make({ ...several, id: "projects", title: "Related projects", subtitle: "current environments; several may be on", axis: "Project", dimension: "project" }),
    make({ ...several, id: "plugins", title: "Plugins", subtitle: "current environments that have them", axis: "Plugin", dimension: "plugin" }),
    make({ id: "segmentation", title: "Network segmentation", subtitle: "current environments", axis: "Segmentation", shape: "ring", dimension: "segmentation_type" }),
    make({ ...several, id: "network-options", title: "Network options", subtitle: "current environments; several may be on", axis: "Option", dimension: "network_option" }),
    make({ id: "openstack", title: "OpenStack release", subtitle: "current environments", axis: "Release", shape: "bars", dimension: "openstack_release" }),
  ];
}

function hardware(found: Reports): Figure[] {
  const report = found.get("nodes");
  const make = (shown: Shown) => by(report, "nodes", shown);
  const states = by(report, "nodes", { id: "node-status", title: "Node status", subtitle: "nodes of current environments", axis: "Status", shape: "bars", dimension: "status" });
  return [
    make({ id: "roles", title: "Node roles", subtitle: "a node may have several", axis: "Role", shape: "bars", whole: false, dimension: "role" }),
    make({ id: "role-combinations", title: "Combined roles", subtitle: "each node counts once", axis: "Roles", shape: "bars", dimension: "role_combination" }),
    make({ id: "vendors", title: "Hardware vendors", subtitle: "nodes of current environments", axis: "Vendor", shape: "bars", dimension: "manufacturer" }),
    make({ id: "machines", title: "Virtual or bare metal", subtitle: "judged by vendor and product", axis: "Machine", shape: "ring", dimension: "machine" }),
    make({ id: "node-oses", title: "Operating systems of nodes", subtitle: "nodes of current environments", axis: "Operating system", shape: "ring", dimension: "operating_system" }),
    new Distribution({ ...states.content, items: states.items.map(status) }),
  ];
}

function workloads(found: Reports): Figure[] {
  const rows = rowsOf(found, "workloads");
  const labels = daysOf(rows, "stats_on_date");
  const over = (id: string, title: string, subtitle: string, column: string, types: readonly string[]): Figure =>
    new Trend({
      id,
      title,
      subtitle,
      model: "rpt_workload_daily",
      axis: "Day",
      shape: "lines",
      labels,
      series: types.map((type) => ({
        name: named(type).replaceAll("_", " "),
        values: along(rows.filter((row) => row["resource_type"] === type), labels, "stats_on_date", column),
      })),
    });
  const [machines, kinds] = [["vm", "volume", "image"], ["flavor", "tenant", "keystone_user"]] as const;
  const days = "by the records' own day, gaps filled, all releases";
  return [
    over("workload-machines", "Machines, volumes, images", days, "resources", machines),
    over("workload-kinds", "Flavors, tenants, users", days, "resources", kinds),
    over("workload-environments", "Environments that report", days, "environments", ["vm"]),
    over("workload-added", "Added", "machines, volumes and images added that day", "added", machines),
    over("workload-modified", "Modified", "machines, volumes and images modified that day", "modified", machines),
    over("workload-removed", "Removed", "machines, volumes and images removed that day", "removed", machines),
  ];
}

/** Beside the overview, whose numbers come from the original's reports. */
export const VIEWS: readonly View[] = [
  { id: "growth", name: "Growth", reports: ["growth", "activity", "retention", "upgrades"], figures: growth },
  { id: "deployments", name: "Deployments", reports: ["deployments", "network-verification"], figures: deployments },
  { id: "environments", name: "Environments", reports: ["environments"], figures: options },
  { id: "nodes", name: "Nodes", reports: ["nodes"], figures: hardware },
  { id: "workloads", name: "Workloads", reports: ["workloads"], figures: workloads },
];
