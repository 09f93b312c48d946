// Several series over the same labels: lines over time, groups of bars, or stacked bars.

import type { Chart } from "chart.js";

import { drawTrend } from "./chart";
import { canvasIn, type Figure, scrolled } from "./figure";
import { count } from "./format";
import { palette } from "./theme";

export interface Series {
  name: string;
  values: (number | null)[];
  tone?: "good" | "bad" | "muted" | "accent";
}

export interface TrendContent {
  id: string;
  title: string;
  subtitle: string;
  model: string;
  axis: string;
  shape: "lines" | "groups" | "stack";
  labels: string[];
  series: Series[];
  /** How a value is written; whole numbers by default. */
  written?: (value: number) => string;
}

export class Trend implements Figure {
  readonly id: string;
  readonly title: string;
  readonly subtitle: string;
  readonly model: string;
  readonly shape: string;

  constructor(readonly content: TrendContent) {
    ({ id: this.id, title: this.title, subtitle: this.subtitle, model: this.model, shape: this.shape } = content);
  }

  get empty(): boolean {
    return this.content.series.every((series) => series.values.every((value) => value === null));
  }

  write(value: number | null | undefined): string {
    return value === null || value === undefined ? "–" : (this.content.written ?? count)(value);
  }

  draw(body: HTMLElement): Chart {
    const { labels, series } = this.content;
    const last = series.map((one) => `${one.name}: ${this.write(one.values.at(-1))}`).join(", ");
    const sentence = `${this.title}, ${labels[0]} to ${labels.at(-1)}. At the end ${last}.`;
    return drawTrend(canvasIn(body, sentence), this, palette());
  }

  table(): HTMLElement {
    const { axis, labels, series } = this.content;
    const rows = labels.map((label, index) => [label, ...series.map((one) => this.write(one.values[index]))]);
    return scrolled(this.title, [axis, ...series.map((one) => one.name)], rows);
  }
}
