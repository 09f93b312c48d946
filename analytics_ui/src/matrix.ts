// Shares in rows and columns, shaded by their size: retention of cohorts.

import { type Figure, scrolled } from "./figure";

export interface MatrixContent {
  id: string;
  title: string;
  subtitle: string;
  model: string;
  axis: string;
  columns: string[];
  /** A row's name, its size, and a share from 0 to 1 for each column; null where there is none yet. */
  rows: { name: string; size: string; shares: (number | null)[] }[];
}

const SEEN_DARKER = 0.55;

function percent(share: number | null): string {
  return share === null ? "" : `${Math.round(share * 100)} %`;
}

export class Matrix implements Figure {
  readonly id: string;
  readonly title: string;
  readonly subtitle: string;
  readonly model: string;
  readonly shape = "table";

  constructor(private readonly content: MatrixContent) {
    ({ id: this.id, title: this.title, subtitle: this.subtitle, model: this.model } = content);
  }

  get empty(): boolean {
    return this.content.rows.length === 0;
  }

  draw(body: HTMLElement): null {
    const table = this.table();
    this.content.rows.forEach((row, index) => {
      const cells = table.querySelectorAll<HTMLElement>(`tbody tr:nth-child(${index + 1}) td`);
      row.shares.forEach((share, column) => {
        const cell = cells[column + 1];
        if (!cell || share === null) return;
        const strength = Math.round(share * SEEN_DARKER * 100);
        cell.style.backgroundColor = `color-mix(in srgb, var(--accent) ${strength}%, transparent)`;
      });
    });
    table.classList.add("shaded");
    body.append(table);
    return null;
  }

  table(): HTMLElement {
    const { axis, columns, rows } = this.content;
    const lines = rows.map((row) => [row.name, row.size, ...row.shares.map(percent)]);
    return scrolled(this.title, [axis, "Size", ...columns], lines);
  }
}

