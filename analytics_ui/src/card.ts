// A card: a figure, drawn or as a table.

import type { Chart } from "chart.js";

import { element } from "./dom";
import type { Figure } from "./figure";

export class Card {
  readonly root: HTMLElement;
  private readonly body = element("div", { class: "body" });
  private readonly subtitle = element("p");
  private readonly toggle: HTMLButtonElement;
  private chart: Chart | null = null;
  private asTable = false;

  constructor(
    private shown: Figure,
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
        element("div", {}, element("h2", { id: title }, shown.title), this.subtitle),
        element("div", { class: "tools" }, ...this.definition(title), this.toggle),
      ),
      this.body,
    );
  }

  show(shown: Figure): void {
    this.shown = shown;
    this.render();
  }

  render(): void {
    this.close();
    this.subtitle.textContent = this.shown.subtitle;
    this.body.replaceChildren();
    this.body.dataset["shape"] = this.asTable ? "table" : this.shown.shape;
    if (this.shown.empty) this.body.append(element("p", { class: "nothing" }, "Nothing reported yet"));
    else if (this.asTable) this.body.append(this.shown.table());
    else this.chart = this.shown.draw(this.body, this.chosen);
  }

  /** Gives the chart's canvas up. */
  close(): void {
    this.chart?.destroy();
    this.chart = null;
  }

  /** Where the numbers are defined: an analyst has to be able to defend them. */
  private definition(title: string): HTMLElement[] {
    const { model } = this.shown;
    if (!model) return [];
    const href = `/dbt-docs/#!/model/model.fuel_stat.${model}`;
    return [element("a", { class: "definition", href, "aria-describedby": title }, "Definition")];
  }
}
