import "./style.css";

import { ApiError, type Numbers, numbers, signIn, status } from "./api";
import { Card } from "./card";
import { distributions } from "./distribution";
import { byId, element } from "./dom";
import { offerDownloads } from "./downloads";
import { banner, showStatus } from "./health";
import { followTheme } from "./theme";
import { tile, totals } from "./totals";

const POLL_MILLISECONDS = 15_000;
const cards = new Map<string, Card>();
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
  for (const shown of distributions(found)) {
    let card = cards.get(shown.id);
    if (!card) {
      card = new Card(shown, shown.id === "releases" ? choose : undefined);
      cards.set(shown.id, card);
      byId("charts").append(card.root);
    }
    card.show(shown);
  }
  document.body.dataset["release"] = found.release;
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

/** Loads numbers of the chosen release; an answer that a later choice has overtaken is not shown. */
async function load(): Promise<void> {
  const turn = ++latest;
  const address = new URL(location.href);
  if (filter.value) address.searchParams.set("release", filter.value);
  else address.searchParams.delete("release");
  history.replaceState(null, "", address);
  try {
    const found = await numbers(filter.value);
    if (turn !== latest) return;
    shownPublication = found.publication;
    showNumbers(found);
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
askToken();
filter.addEventListener("change", () => void load());
void refresh();
setInterval(() => {
  if (!document.hidden) void refresh();
}, POLL_MILLISECONDS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void refresh();
});
