// A card: one distribution as a chart, and the same as a table.

import type { Chart } from "chart.js";

import { colours, draw } from "./chart";
import type { Distribution } from "./distribution";
import { element } from "./dom";
import { count, share } from "./format";
import { palette } from "./theme";

export class Card {
  readonly root: HTMLElement;
  private readonly body = element("div", { class: "body" });
  private readonly toggle: HTMLButtonElement;
  private chart: Chart | null = null;
  private asTable = false;

  constructor(
    private shown: Distribution,
    private readonly chosen: (label: string) => void = () => undefined,
  ) {
    this.toggle = element("button", { type: "button", class: "toggle", "aria-pressed": "false" }, "Table");
    this.toggle.addEventListener("click", () => {
      this.asTable = !this.asTable;
      this.toggle.setAttribute("aria-pressed", String(this.asTable));
      this.render();
    });
    const title = `${shown.id}-title`;
    this.toggle.setAttribute("aria-describedby", title);
    this.root = element(
      "article",
      { class: "card", "aria-labelledby": title, id: shown.id },
      element(
        "header",
        {},
        element("div", {}, element("h2", { id: title }, shown.title), element("p", {}, shown.subtitle)),
        this.toggle,
      ),
      this.body,
    );
  }

  show(shown: Distribution): void {
    this.shown = shown;
    this.render();
  }

  render(): void {
    this.chart?.destroy();
    this.chart = null;
    this.body.replaceChildren();
    this.body.dataset["shape"] = this.asTable ? "table" : this.shown.shape;
    if (this.total === 0) this.body.append(element("p", { class: "nothing" }, "Nothing reported yet"));
    else if (this.asTable) this.body.append(this.table());
    else this.renderChart();
  }

  private get total(): number {
    return this.shown.items.reduce((sum, item) => sum + item.value, 0);
  }

  private renderChart(): void {
    const { shown } = this;
    const sentence = shown.items.map((item) => `${item.label}: ${count(item.value)}`).join(", ");
    const canvas = element("canvas", { role: "img", "aria-label": `${shown.title}. ${sentence}.` });
    const plot = element("div", { class: "plot" }, canvas);
    this.body.append(plot);
    if (shown.shape === "ring") {
      plot.append(element("p", { class: "middle", "aria-hidden": "true" }, element("b", {}, count(this.total))));
      this.body.append(this.legend());
    }
    this.chart = draw(canvas, shown, palette());
    canvas.addEventListener("click", (event) => {
      const hit = this.chart?.getElementsAtEventForMode(event, "nearest", { intersect: true }, false)[0];
      const item = hit && shown.items[hit.index];
      if (item) this.chosen(item.label);
    });
  }

  private legend(): HTMLElement {
    const tints = colours(this.shown.items, "ring", palette());
    const rows = this.shown.items.map((item, index) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = tints[index] ?? "";
      return element(
        "li",
        {},
        swatch,
        element("span", { class: "name", title: item.label }, item.label),
        element("b", {}, count(item.value)),
        element("span", { class: "share" }, share(item.value, this.total)),
      );
    });
    return element("ul", { class: "legend" }, ...rows);
  }

  private table(): HTMLElement {
    const { shown } = this;
    const unit = shown.unit.charAt(0).toUpperCase() + shown.unit.slice(1);
    const cell = (text: string) => element("td", {}, text);
    const rows = shown.items.map((item) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, item.label),
        cell(count(item.value)),
        cell(share(item.value, this.total)),
      ),
    );
    const heads = [shown.axis, unit, "Share"].map((text) => element("th", { scope: "col" }, text));
    const table = element(
      "table",
      {},
      element("caption", { class: "hidden" }, shown.title),
      element("thead", {}, element("tr", {}, ...heads)),
      element("tbody", {}, ...rows),
    );
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": shown.title }, table);
  }
}
