// Light or dark: what the system prefers, unless the reader chose.

import { byId } from "./dom";

export interface Palette {
  series: string[];
  accent: string;
  muted: string;
  good: string;
  bad: string;
  text: string;
  soft: string;
  grid: string;
  surface: string;
}

const KEY = "fuel-stat-theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // Storage may be forbidden; the system's preference holds then.
  }
}

function isDark(): boolean {
  return (chosen() ?? (dark.matches ? "dark" : "light")) === "dark";
}

/** The colours of the style sheet, for what is drawn on canvases. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => colour(`series-${number}`)),
    accent: colour("accent"),
    muted: colour("series-8"),
    good: colour("good"),
    bad: colour("bad"),
    text: colour("text"),
    soft: colour("soft"),
    grid: colour("line"),
    surface: colour("surface"),
  };
}

export function followTheme(changed: () => void): void {
  const button = byId<HTMLButtonElement>("theme");
  const apply = () => {
    document.documentElement.dataset["theme"] = isDark() ? "dark" : "light";
    button.setAttribute("aria-pressed", String(isDark()));
    changed();
  };
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, next);
    } catch {
      document.documentElement.dataset["theme"] = next;
    }
    apply();
  });
  dark.addEventListener("change", apply);
  apply();
}
