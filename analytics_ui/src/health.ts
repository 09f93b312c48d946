// Freshness, the published version and the last audit: a line at the foot, and a banner when something is wrong.

import type { Status } from "./api";
import { byId, element } from "./dom";
import { moment, span } from "./format";

function sentence(status: Status): string {
  const { publication, audit } = status;
  if (publication.id === null) return "Nothing is published yet.";
  const parts = [`Version ${publication.id}`];
  if (publication.published_at) parts.push(`published ${moment(publication.published_at)}`);
  if (publication.freshness_seconds !== null) parts.push(`newest report ${span(publication.freshness_seconds)} old`);
  if (audit.outcome === "passed") parts.push(`all ${audit.expectations} checks passed`);
  if (audit.outcome === "warned") parts.push(`${audit.failed.length} of ${audit.expectations} checks warn`);
  if (audit.outcome === "failed") parts.push("last audit failed");
  return parts.join(" · ");
}

/** The text, ended as a sentence. */
function ended(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function trouble(status: Status): [string, string] | null {
  const kept = "The numbers published before stay up.";
  if (status.status === "audit_failed") {
    return ["The last audit failed.", `${ended(status.audit.reason ?? "The reason is in Data quality.")} ${kept}`];
  }
  if (status.status === "run_failed") {
    return ["The last run failed.", `${ended(status.pipeline.last_run?.error ?? "Its log says why.")} ${kept}`];
  }
  if (status.status === "empty") {
    return ["Nothing is published yet.", "The numbers appear after the first run of the pipeline has passed its audit."];
  }
  return null;
}

export function banner(title: string | null, text = "", kind: "warn" | "info" = "warn"): void {
  const place = byId("banner");
  place.hidden = title === null;
  place.dataset["kind"] = kind;
  if (title !== null) place.replaceChildren(element("strong", {}, title), ` ${text}`);
}

export function showStatus(status: Status): void {
  const state = { ok: "good", empty: "wait", audit_failed: "bad", run_failed: "bad" }[status.status];
  const shown = state === "good" && status.audit.outcome === "warned" ? "warn" : state;
  const place = byId("status");
  place.dataset["publication"] = String(status.publication.id ?? "");
  place.replaceChildren(
    element("span", { class: "dot", "data-state": shown, "aria-hidden": "true" }),
    element("span", {}, sentence(status)),
  );
  const wrong = trouble(status);
  banner(wrong?.[0] ?? null, wrong?.[1], status.status === "empty" ? "info" : "warn");
}
