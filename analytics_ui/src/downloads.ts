// The dialog of downloads: a span of days and a link for each export.

import { offered } from "./api";
import { byId, element } from "./dom";

const FILES = ["clusters", "nodes", "plugins", "vm", "volume", "image", "flavor", "tenant", "keystone_user", "all"];
const DAYS = 90;

function isoDay(moment: Date): string {
  return moment.toISOString().slice(0, 10);
}

/** The reports behind the views, whole: the API says which there are. */
async function offerReports(): Promise<void> {
  const links = (await offered()).map(({ name, summary }) =>
    element("a", { download: true, href: `/api/v1/csv/report/${name}`, title: summary }, `${name}.csv`),
  );
  byId("report-files").replaceChildren(...links.map((link) => element("li", {}, link)));
}

export function offerDownloads(): void {
  const dialog = byId<HTMLDialogElement>("downloads");
  const [from, to] = [byId<HTMLInputElement>("from"), byId<HTMLInputElement>("to")];
  const list = byId("files");
  const links = FILES.map((name) => element("a", { download: true }, name === "all" ? "all, as tar" : `${name}.csv`));
  list.replaceChildren(...links.map((link) => element("li", {}, link)));

  const update = () => {
    const valid = from.value !== "" && to.value !== "" && from.value <= to.value;
    byId("downloads-note").textContent = valid ? "" : "The first day must not be after the last.";
    links.forEach((link, index) => {
      if (valid) link.href = `/api/v1/csv/${FILES[index]}?from_date=${from.value}&to_date=${to.value}`;
      else link.removeAttribute("href");
    });
  };
  const now = new Date();
  to.value = isoDay(now);
  from.value = isoDay(new Date(now.getTime() - DAYS * 86_400_000));
  from.addEventListener("change", update);
  to.addEventListener("change", update);
  update();

  byId("downloads-open").addEventListener("click", () => {
    dialog.showModal();
    offerReports().catch((error: unknown) => {
      byId("downloads-note").textContent = error instanceof Error ? error.message : String(error);
    });
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
