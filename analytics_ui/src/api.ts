// The public API, typed. The page uses nothing else.

export type Counts = Record<string, number>;

export interface Distributions {
  installations: { count: number; environments_num: Counts };
  environments: {
    count: number;
    operable_envs_count: number;
    statuses: Counts;
    nodes_num: Counts;
    hypervisors_num: Counts;
    oses_num: Counts;
  };
}

export interface Releases {
  releases: { release: string; installations: number }[];
}

export interface Summary {
  action_logs: { total: number };
  installation_structures: { total: number; filtered: number; not_filtered: number };
  oswl_stats: { total: number };
}

export interface Status {
  status: "ok" | "empty" | "audit_failed" | "run_failed";
  version: string;
  publication: {
    id: number | null;
    published_at: string | null;
    newest_received_at: string | null;
    freshness_seconds: number | null;
  };
  audit: {
    outcome: "none" | "passed" | "warned" | "failed";
    publication_id: number | null;
    audited_at: string | null;
    reason: string | null;
    expectations: number;
    failed: { expectation: string; table: string; severity: string; detail: string | null }[];
  };
  pipeline: { running: boolean; last_run: { state: string; error: string | null; error_code: string | null } | null };
}

/** An error answer of the API: its code, its sentence, the HTTP status (0: the service cannot be reached). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Answer<T> {
  body: T;
  publication: string | null;
}

async function get<T>(path: string): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, { headers: { Accept: "application/json" } });
  } catch {
    throw new ApiError(0, "unreachable", "The service cannot be reached.");
  }
  const body: unknown = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = body as { code?: string; message?: string };
    throw new ApiError(response.status, error.code ?? "error", error.message ?? response.statusText);
  }
  return { body: body as T, publication: response.headers.get("Fuel-Stat-Publication") };
}

export interface Numbers {
  release: string;
  publication: string | null;
  distributions: Distributions;
  releases: Releases;
  summary: Summary;
}

/** All numbers of the page, of one publication: asked again when a publication came in between. */
export async function numbers(release: string): Promise<Numbers> {
  for (let attempt = 0; ; attempt++) {
    const [distributions, releases, summary] = await Promise.all([
      get<Distributions>(`json/report/installations?release=${encodeURIComponent(release)}`),
      get<Releases>("json/report/releases"),
      get<Summary>("json/summary"),
    ]);
    const publications = new Set([distributions, releases, summary].map((answer) => answer.publication));
    if (publications.size === 1 || attempt >= 3) {
      return {
        release,
        publication: distributions.publication,
        distributions: distributions.body,
        releases: releases.body,
        summary: summary.body,
      };
    }
  }
}

export type Value = string | number | boolean | null;
export type Row = Record<string, Value>;

/** A report of the analysts, as a table. */
export interface Report {
  name: string;
  model: string;
  by_release: boolean;
  rows: Row[];
}

/** Which reports the API serves whole, and what each is about. */
export async function offered(): Promise<{ name: string; summary: string }[]> {
  return (await get<{ reports: { name: string; summary: string }[] }>("json/report")).body.reports;
}

/** Reports of one publication; a release is asked for where the report is counted by releases. */
export async function reports(names: readonly string[], byRelease: ReadonlySet<string>, release: string) {
  for (let attempt = 0; ; attempt++) {
    const answers = await Promise.all(
      names.map((name) => {
        const chosen = release && byRelease.has(name) ? `?release=${encodeURIComponent(release)}` : "";
        return get<Report>(`json/report/${name}${chosen}`);
      }),
    );
    const publications = new Set(answers.map((answer) => answer.publication));
    if (publications.size === 1 || attempt >= 3) {
      return new Map(answers.map((answer) => [answer.body.name, answer.body]));
    }
  }
}

export async function status(): Promise<Status> {
  return (await get<Status>("status")).body;
}

export async function signIn(token: string): Promise<void> {
  const response = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (!response.ok) {
    const error = (await response.json().catch(() => ({}))) as { code?: string; message?: string };
    throw new ApiError(response.status, error.code ?? "error", error.message ?? response.statusText);
  }
}
