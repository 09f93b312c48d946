// Figures on a canvas, by Chart.js: columns, bars or a ring; lines, groups and stacks of bars.

import {
  ArcElement,
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartConfiguration,
  type ChartDataset,
  DoughnutController,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  type Plugin,
  PointElement,
  Tooltip,
} from "chart.js";

import type { Distribution, Item } from "./distribution";
import { count } from "./format";
import type { Palette } from "./theme";
import type { Series, Trend } from "./trend";

Chart.register(ArcElement, BarController, BarElement, CategoryScale, DoughnutController, Legend, LinearScale);
Chart.register(LineController, LineElement, PointElement, Tooltip);

const MOST_LABELLED = 18;
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

export function colours(items: Item[], shape: Distribution["shape"], palette: Palette): string[] {
  return items.map((item, index) => {
    if (item.tone) return palette[item.tone];
    return shape === "ring" ? (palette.series[index % palette.series.length] ?? palette.accent) : palette.accent;
  });
}

/** Writes each value at the end of its bar. */
function valueLabels(palette: Palette, horizontal: boolean): Plugin {
  return {
    id: "value-labels",
    afterDatasetsDraw(chart) {
      const values = chart.data.datasets[0]?.data ?? [];
      if (values.length > MOST_LABELLED) return;
      const { ctx } = chart;
      ctx.save();
      ctx.font = `600 11px ${Chart.defaults.font.family ?? "sans-serif"}`;
      ctx.fillStyle = palette.text;
      ctx.textAlign = horizontal ? "left" : "center";
      ctx.textBaseline = horizontal ? "middle" : "bottom";
      chart.getDatasetMeta(0).data.forEach((bar, index) => {
        const { x, y } = bar.getProps(["x", "y"], false);
        ctx.fillText(count(Number(values[index])), Number(x) + (horizontal ? 6 : 0), Number(y) - (horizontal ? 0 : 4));
      });
      ctx.restore();
    },
  };
}

/** What all tooltips look like. */
function bubble(palette: Palette) {
  return {
    displayColors: false,
    backgroundColor: palette.text,
    titleColor: palette.surface,
    bodyColor: palette.surface,
    padding: 10,
    cornerRadius: 8,
  };
}

function tooltip(shown: Distribution, palette: Palette) {
  const { axis, unit } = shown.content;
  return {
    ...bubble(palette),
    callbacks: {
      title: (items: { label: string }[]) => `${axis}: ${items[0]?.label ?? ""}`,
      label: (item: { raw: unknown }) => {
        const value = Number(item.raw);
        const share = shown.share(value);
        return `${count(value)} ${unit}${share && ` (${share})`}`;
      },
    },
  };
}

/** The two axes: of names, and of amounts that start at zero. */
function axes(palette: Palette, horizontal: boolean, grace: string) {
  const labels = { color: palette.soft, font: { size: 11 } };
  const category = {
    grid: { display: false },
    border: { color: palette.grid },
    ticks: { ...labels, autoSkip: !horizontal, autoSkipPadding: 14, maxRotation: 0 },
  };
  const amount = {
    beginAtZero: true,
    grace,
    grid: { color: palette.grid, drawTicks: false },
    border: { display: false },
    ticks: { ...labels, maxTicksLimit: 5, padding: 6 },
  };
  return { category, amount };
}

function barConfiguration(shown: Distribution, palette: Palette): ChartConfiguration<"bar"> {
  const horizontal = shown.shape === "bars";
  const { category, amount: plain } = axes(palette, horizontal, horizontal ? "16%" : "14%");
  const amount = { ...plain, ticks: { ...plain.ticks, precision: 0 } };
  return {
    type: "bar",
    data: {
      labels: shown.items.map((item) => item.label),
      datasets: [
        {
          data: shown.items.map((item) => item.value),
          backgroundColor: colours(shown.items, shown.shape, palette),
          borderRadius: 4,
          borderSkipped: "start",
          maxBarThickness: horizontal ? 18 : 44,
          categoryPercentage: 0.82,
          barPercentage: 0.9,
        },
      ],
    },
    options: {
      indexAxis: horizontal ? "y" : "x",
      responsive: true,
      maintainAspectRatio: false,
      animation: still.matches ? false : { duration: 350 },
      scales: horizontal ? { x: amount, y: category } : { x: category, y: amount },
      plugins: { legend: { display: false }, tooltip: tooltip(shown, palette) },
    },
    plugins: [valueLabels(palette, horizontal) as Plugin<"bar">],
  };
}

function ringConfiguration(shown: Distribution, palette: Palette): ChartConfiguration<"doughnut"> {
  return {
    type: "doughnut",
    data: {
      labels: shown.items.map((item) => item.label),
      datasets: [
        {
          data: shown.items.map((item) => item.value),
          backgroundColor: colours(shown.items, shown.shape, palette),
          borderColor: palette.surface,
          borderWidth: 2,
          hoverOffset: 3,
        },
      ],
    },
    options: {
      cutout: "66%",
      responsive: true,
      maintainAspectRatio: false,
      animation: still.matches ? false : { duration: 350 },
      plugins: { legend: { display: false }, tooltip: tooltip(shown, palette) },
    },
  };
}

function tint(series: Series, index: number, palette: Palette): string {
  if (series.tone) return palette[series.tone];
  return palette.series[index % palette.series.length] ?? palette.accent;
}

function dataset(series: Series, index: number, shown: Trend, palette: Palette): ChartDataset<"bar" | "line"> {
  const colour = tint(series, index, palette);
  const { shape, labels } = shown.content;
  const common = { label: series.name, data: series.values, backgroundColor: colour };
  if (shape !== "lines") return { ...common, borderRadius: 3, maxBarThickness: 36 };
  const pointRadius = labels.length > MOST_LABELLED ? 0 : 2;
  return { ...common, borderColor: colour, borderWidth: 2, pointRadius, pointHitRadius: 8, tension: 0.2, spanGaps: true };
}

function trendConfiguration(shown: Trend, palette: Palette): ChartConfiguration<"bar" | "line"> {
  const { shape, axis, labels, series } = shown.content;
  const { category, amount } = axes(palette, false, "6%");
  const stacked = shape === "stack";
  const ticks = { ...amount.ticks, callback: (value: string | number) => shown.write(Number(value)) };
  const callbacks = {
    title: (items: { label: string }[]) => `${axis}: ${items[0]?.label ?? ""}`,
    label: (item: { dataset: { label?: string | undefined }; raw: unknown }) =>
      `${item.dataset.label ?? ""}: ${shown.write(item.raw === null ? null : Number(item.raw))}`,
  };
  const boxes = { boxWidth: 10, boxHeight: 10, color: palette.soft, font: { size: 11 }, padding: 10 };
  return {
    type: shape === "lines" ? "line" : "bar",
    data: { labels, datasets: series.map((one, index) => dataset(one, index, shown, palette)) },
    options: {
      responsive: true,
      maintainAspectRatio: false,
      animation: still.matches ? false : { duration: 350 },
      interaction: { mode: "index", intersect: false },
      scales: { x: { ...category, stacked }, y: { ...amount, ticks, stacked } },
      plugins: {
        legend: { display: series.length > 1, position: "bottom", labels: boxes },
        tooltip: { ...bubble(palette), callbacks },
      },
    },
  };
}

function onCanvas(canvas: HTMLCanvasElement, configuration: unknown): Chart {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  return new Chart(canvas, configuration as ChartConfiguration);
}

export function drawTrend(canvas: HTMLCanvasElement, shown: Trend, palette: Palette): Chart {
  return onCanvas(canvas, trendConfiguration(shown, palette));
}

export function draw(canvas: HTMLCanvasElement, shown: Distribution, palette: Palette): Chart {
  return onCanvas(canvas, shown.shape === "ring" ? ringConfiguration(shown, palette) : barConfiguration(shown, palette));
}
