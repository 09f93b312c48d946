import "./style.css";

import { ApiError, type Numbers, numbers, reports, signIn, status } from "./api";
import { Card } from "./card";
import { distributions } from "./distribution";
import { byId, element } from "./dom";
import { offerDownloads } from "./downloads";
import type { Figure } from "./figure";
import { banner, showStatus } from "./health";
import { offerViews, shownView } from "./navigation";
import { followTheme } from "./theme";
import { tile, totals } from "./totals";
import { BY_RELEASE } from "./views";

const POLL_MILLISECONDS = 15_000;
const OVERVIEW = "overview";
let cards = new Map<string, Card>();
let shownCards = "";
const filter = byId<HTMLSelectElement>("release");
let shownPublication: string | null = null;
let latest = 0;

function showReleases(found: Numbers): void {
  const options = found.releases.releases.map(({ release, installations }) => {
    const option = element("option", { value: release }, `${release} (${installations})`);
    option.selected = release === found.release;
    return option;
  });
  const known = options.some((option) => option.selected);
  if (found.release && !known) options.push(element("option", { value: found.release, selected: true }, found.release));
  filter.replaceChildren(element("option", { value: "" }, "All releases"), ...options);
  filter.value = found.release;
}

function showNumbers(found: Numbers): void {
  byId("totals").replaceChildren(...totals(found).map(tile));
  showReleases(found);
  document.body.dataset["release"] = found.release;
}

/** The figures of a view; cards stay while the view does, so that a reader's choice of table stays too. */
function showFigures(view: string, figures: Figure[]): void {
  if (view !== shownCards) {
    cards.forEach((card) => card.close());
    cards = new Map();
    byId("charts").replaceChildren();
    shownCards = view;
  }
  // All cards stand before the first is drawn: a chart takes the size that its card has then.
  for (const figure of figures) {
    if (cards.has(figure.id)) continue;
    const card = new Card(figure, figure.id === "releases" ? choose : undefined);
    cards.set(figure.id, card);
    byId("charts").append(card.root);
  }
  for (const figure of figures) cards.get(figure.id)?.show(figure);
}

function choose(release: string): void {
  filter.value = filter.value === release ? "" : release;
  void load();
}

function showFailure(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) {
    const dialog = byId<HTMLDialogElement>("sign-in");
    if (!dialog.open) dialog.showModal();
  } else if (error instanceof ApiError && error.code === "nothing_published") {
    banner("Nothing is published yet.", "The numbers appear after the first run of the pipeline.", "info");
  } else {
    banner("The numbers cannot be loaded.", error instanceof Error ? error.message : String(error));
  }
}

/** Loads the chosen view and release; an answer that a later choice has overtaken is not shown. */
async function load(): Promise<void> {
  const turn = ++latest;
  const view = shownView();
  const release = filter.value;
  const address = new URL(location.href);
  for (const [name, value] of [["release", release], ["view", view?.id ?? ""]] as const) {
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
  }
  history.replaceState(null, "", address);
  try {
    const [found, tables] = await Promise.all([
      numbers(release),
      view ? reports(view.reports, BY_RELEASE, release) : null,
    ]);
    if (turn !== latest) return;
    shownPublication = found.publication;
    showNumbers(found);
    showFigures(view?.id ?? OVERVIEW, view && tables ? view.figures(tables) : distributions(found));
  } catch (error) {
    if (turn === latest) showFailure(error);
  }
}

async function refresh(): Promise<void> {
  try {
    const found = await status();
    showStatus(found);
    if (found.publication.id !== null && String(found.publication.id) !== shownPublication) await load();
  } catch (error) {
    showFailure(error);
  }
}

function askToken(): void {
  const dialog = byId<HTMLDialogElement>("sign-in");
  byId<HTMLFormElement>("sign-in-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = byId<HTMLInputElement>("token");
    signIn(token.value)
      .then(() => {
        token.value = "";
        dialog.close();
        banner(null);
        return refresh();
      })
      .catch((error: unknown) => {
        byId("sign-in-error").textContent = error instanceof Error ? error.message : String(error);
      });
  });
}

const wanted = new URL(location.href).searchParams.get("release");
if (wanted) {
  filter.append(element("option", { value: wanted }, wanted));
  filter.value = wanted;
}
followTheme(() => cards.forEach((card) => card.render()));
offerDownloads();
offerViews(() => void load());
askToken();
filter.addEventListener("change", () => void load());
void refresh();
setInterval(() => {
  if (!document.hidden) void refresh();
}, POLL_MILLISECONDS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void refresh();
});
