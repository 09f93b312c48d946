// Numbers, spans of time and moments as people read them.

const NUMBER = new Intl.NumberFormat("en");
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

export function count(value: number): string {
  return NUMBER.format(value);
}

export function share(value: number, total: number): string {
  if (total === 0) return "0 %";
  const percent = (100 * value) / total;
  return percent > 0 && percent < 1 ? "< 1 %" : `${Math.round(percent)} %`;
}

export function moment(iso: string): string {
  return `${MOMENT.format(new Date(iso))} UTC`;
}

const STEPS: [number, string][] = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  for (const [size, name] of STEPS) {
    if (whole >= size) {
      const amount = Math.floor(whole / size);
      return `${amount} ${name}${amount === 1 ? "" : "s"}`;
    }
  }
  return "no time";
}

/** Numbers before words, numbers by size, words by letter. */
export function byNumber(first: string, second: string): number {
  const [a, b] = [Number(first), Number(second)];
  if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return Number.isNaN(a) ? first.localeCompare(second) : a - b;
}

/** A duration in minutes as people read it. */
export function duration(minutes: number): string {
  return minutes < 120 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
