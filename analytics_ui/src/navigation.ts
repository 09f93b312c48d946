// Which view is shown: the overview, or one of the analysts' reports. It can be linked to.

import { byId, element } from "./dom";
import { type View, VIEWS } from "./views";

const OVERVIEW = { id: "", name: "Overview" };
let chosen = new URL(location.href).searchParams.get("view") ?? "";

/** The chosen view; undefined for the overview. */
export function shownView(): View | undefined {
  return VIEWS.find((view) => view.id === chosen);
}

export function offerViews(changed: () => void): void {
  const buttons = [OVERVIEW, ...VIEWS].map(({ id, name }) => {
    const button = element("button", { type: "button", id: `view-${id || "overview"}` }, name);
    button.addEventListener("click", () => {
      chosen = id;
      mark();
      changed();
    });
    return { id, button };
  });
  const mark = () => {
    const current = shownView()?.id ?? OVERVIEW.id;
    for (const { id, button } of buttons) {
      if (id === current) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
  };
  byId("views").replaceChildren(...buttons.map(({ button }) => button));
  mark();
}
