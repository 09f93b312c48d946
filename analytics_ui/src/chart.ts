// One distribution on a canvas, by Chart.js: columns, bars or a ring.

import {
  ArcElement,
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartConfiguration,
  DoughnutController,
  LinearScale,
  type Plugin,
  Tooltip,
} from "chart.js";

import type { Distribution, Item } from "./distribution";
import { count, share } from "./format";
import type { Palette } from "./theme";

Chart.register(ArcElement, BarController, BarElement, CategoryScale, DoughnutController, LinearScale, Tooltip);

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

function tooltip(shown: Distribution, palette: Palette) {
  const total = shown.items.reduce((sum, item) => sum + item.value, 0);
  return {
    displayColors: false,
    backgroundColor: palette.text,
    titleColor: palette.surface,
    bodyColor: palette.surface,
    padding: 10,
    cornerRadius: 8,
    callbacks: {
      title: (items: { label: string }[]) => `${shown.axis}: ${items[0]?.label ?? ""}`,
      label: (item: { raw: unknown }) => {
        const value = Number(item.raw);
        return `${count(value)} ${shown.unit} (${share(value, total)})`;
      },
    },
  };
}

function barConfiguration(shown: Distribution, palette: Palette): ChartConfiguration<"bar"> {
  const horizontal = shown.shape === "bars";
  const labels = { color: palette.soft, font: { size: 11 } };
  const category = {
    grid: { display: false },
    border: { color: palette.grid },
    ticks: { ...labels, autoSkip: !horizontal, maxRotation: 0 },
  };
  const amount = {
    beginAtZero: true,
    grace: horizontal ? "16%" : "14%",
    grid: { color: palette.grid, drawTicks: false },
    border: { display: false },
    ticks: { ...labels, precision: 0, maxTicksLimit: 5, padding: 6 },
  } as const;
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
      plugins: { tooltip: tooltip(shown, palette) },
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
      plugins: { tooltip: tooltip(shown, palette) },
    },
  };
}

export function draw(canvas: HTMLCanvasElement, shown: Distribution, palette: Palette): Chart {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const configuration =
    shown.shape === "ring" ? ringConfiguration(shown, palette) : barConfiguration(shown, palette);
  return new Chart(canvas, configuration as ChartConfiguration);
}
