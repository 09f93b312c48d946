// The row of totals.

import type { Numbers } from "./api";
import { element } from "./dom";
import { count, share } from "./format";

interface Total {
  id: string;
  name: string;
  value: number;
  note: string;
}

export function totals({ distributions, summary, release }: Numbers): Total[] {
  const { installations, environments } = distributions;
  const { total, filtered } = summary.installation_structures;
  return [
    {
      id: "installations",
      name: "Installations",
      value: installations.count,
      note: release ? `of release ${release}` : `${count(filtered)} of ${count(total)} filtered out`,
    },
    {
      id: "environments",
      name: "Environments",
      value: environments.count,
      note: installations.count
        ? `${(environments.count / installations.count).toFixed(1)} an installation`
        : "none yet",
    },
    {
      id: "operable",
      name: "In operation",
      value: environments.operable_envs_count,
      note: `${share(environments.operable_envs_count, environments.count)} of them, errors included`,
    },
    { id: "actions", name: "Actions", value: summary.action_logs.total, note: "of all releases" },
    {
      id: "workloads",
      name: "Workload records",
      value: summary.oswl_stats.total,
      note: "of all releases",
    },
  ];
}

export function tile(total: Total): HTMLElement {
  return element(
    "div",
    { class: "tile" },
    element("p", { class: "name" }, total.name),
    element("p", { class: "value", id: `total-${total.id}`, "data-value": String(total.value) }, count(total.value)),
    element("p", { class: "note" }, total.note),
  );
}
