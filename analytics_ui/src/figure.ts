// What a card can hold: something that is drawn, and the same as a table.

import type { Chart } from "chart.js";

import { element } from "./dom";

export interface Figure {
  id: string;
  title: string;
  subtitle: string;
  /** The dbt model that defines the numbers; null where it is the front page's own. */
  model: string | null;
  /** How the card's body lays out what is drawn. */
  shape: string;
  empty: boolean;
  /** Draws into the body; `chosen` is told the label that a reader clicks. */
  draw(body: HTMLElement, chosen: (label: string) => void): Chart | null;
  table(): HTMLElement;
}

/** A table that scrolls within its card. The first cell of a row names it. */
export function scrolled(title: string, heads: string[], rows: string[][]): HTMLElement {
  const made = rows.map(([name, ...cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name ?? ""),
      ...cells.map((text) => element("td", {}, text)),
    ),
  );
  const table = element(
    "table",
    {},
    element("caption", { class: "hidden" }, title),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...made),
  );
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table);
}

/** A canvas in the body, with a sentence for those who cannot see it. */
export function canvasIn(body: HTMLElement, sentence: string): HTMLCanvasElement {
  const canvas = element("canvas", { role: "img", "aria-label": sentence });
  body.append(element("div", { class: "plot" }, canvas));
  return canvas;
}
