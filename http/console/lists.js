// Lists that come from the server page by page, and lists that are there at once.

import { h, replace } from "./dom.js";
import { announce } from "./shell.js";
import { empty, failure, loading, pager, table } from "./widgets.js";

/**
 * A list behind a cursor: `load(cursor)` returns {rows, nextCursor}, `none()` a node for an empty list. Returns an
 * element with `.show()`, which fetches the page that is open again, and `.first()`, which goes back to the newest.
 */
export function pagedTable({ load, columns, caption, none, rowClass = null, signal }) {
  const place = h("div", { class: "stack", tabindex: "-1", role: "group", "aria-label": caption }, loading());
  let cursors = [null];
  let asked = 0;

  place.show = async ({ quiet = false } = {}) => {
    const mine = (asked += 1);
    try {
      const { rows, nextCursor } = await load(cursors.at(-1));
      if (signal.aborted || mine !== asked) return; // a later page has been asked for meanwhile
      if (!rows.length && cursors.length === 1) return void replace(place, none());
      replace(place, rows.length ? table(columns, rows, { caption, rowClass }) : empty("There is nothing older."), foot(nextCursor));
    } catch (error) {
      if (signal.aborted || mine !== asked) return;
      if (quiet && error.status === 0 && place.querySelector("table")) return; // what is shown stays; the banner says the rest
      replace(place, failure(error, () => place.show(), { byItself: true }));
    }
  };
  place.first = () => {
    cursors = [null];
    return place.show();
  };

  const foot = (nextCursor) =>
    pager({
      newer: cursors.length > 1 ? () => turn(() => cursors.pop()) : null,
      older: nextCursor ? () => turn(() => cursors.push(nextCursor)) : null,
      note: cursors.length > 1 ? `Page ${cursors.length}` : null,
    });
  const turn = async (change) => {
    change();
    await place.show();
    if (signal.aborted) return;
    place.focus(); // the button that had it is gone
    announce(`Page ${cursors.length}`);
  };
  return place;
}

/** Show what `load` returns by `render`, which gives nodes; an error shows itself, with a button that tries again. */
export async function loadInto(place, signal, load, render) {
  try {
    const loaded = await load();
    if (!signal.aborted) replace(place, render(loaded));
  } catch (error) {
    if (!signal.aborted) replace(place, failure(error, () => loadInto(place, signal, load, render), { byItself: true }));
  }
}

/** Call `act` every so many milliseconds while the page is open and seen, and at once when it is seen again. */
export function repeat(act, everyMs, signal) {
  let busy = false; // a slow server is not asked again before it has answered
  const tick = async () => {
    if (document.hidden || busy) return;
    busy = true;
    try {
      await act();
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(tick, everyMs);
  document.addEventListener("visibilitychange", tick, { signal });
  addEventListener("online", tick, { signal });
  signal.addEventListener("abort", () => clearInterval(timer));
}
