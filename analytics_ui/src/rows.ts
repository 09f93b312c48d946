// From a report's rows to what figures show: sums, groups, series.

import type { Counts, Report, Row } from "./api";

export function number(row: Row, column: string): number {
  return Number(row[column] ?? 0);
}

export function text(row: Row, column: string): string {
  return String(row[column] ?? "");
}

/** Sums of a column by the value of another. */
export function summed(rows: Row[], by: string, column: string): Counts {
  const sums: Counts = {};
  for (const row of rows) sums[text(row, by)] = (sums[text(row, by)] ?? 0) + number(row, column);
  return sums;
}

/** The rows that count by one attribute. */
export function counted(report: Report | undefined, dimension: string): Row[] {
  return (report?.rows ?? []).filter((row) => row["dimension"] === dimension);
}

/** The values of a column, each once, as they come. */
export function distinct(rows: Row[], column: string): string[] {
  return [...new Set(rows.map((row) => text(row, column)))];
}

/** A value for each label: null where the rows have none. */
export function along(rows: Row[], labels: string[], by: string, column: string): (number | null)[] {
  const found = new Map(rows.map((row) => [text(row, by), row[column]]));
  return labels.map((label) => {
    const value = found.get(label);
    return value === null || value === undefined ? null : Number(value);
  });
}

const DAY_MILLISECONDS = 86_400_000;

/** The last `most` days or weeks that the rows reach, without a gap: a step that nobody reported is shown as such. */
export function calendar(rows: Row[], column: string, step: 1 | 7, most: number): string[] {
  const known = distinct(rows, column).sort();
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return [];
  const labels: string[] = [];
  for (let at = Date.parse(last); at >= Date.parse(first) && labels.length < most; at -= step * DAY_MILLISECONDS) {
    labels.unshift(new Date(at).toISOString().slice(0, 10));
  }
  return labels;
}
