// The frame: routes, navigation, focus, the connection's banner, the key's dialog, the colour scheme.

import { api, ApiError, key, onConnection, onKeyNeeded } from "./api.js";
import { h, replace } from "./dom.js";
import { ago } from "./format.js";
import { icon } from "./icons.js";
import { announce, setTitle } from "./shell.js";
import { dialog, failure, field, loading } from "./widgets.js";

const ROUTES = [
  { path: "/tasks", page: "tasks", label: "Tasks", icon: "list" },
  { path: "/tasks/:id", page: "task", under: "/tasks" },
  { path: "/new", page: "new", label: "New task", icon: "plus" },
  { path: "/sessions", page: "sessions", label: "Sessions", icon: "chat" },
  { path: "/sessions/:id", page: "session", under: "/sessions" },
  { path: "/skills", page: "skills", label: "Skills", icon: "tool" },
  { path: "/agents", page: "agents", label: "Agents", icon: "agent" },
  { path: "/health", page: "health", label: "Health", icon: "pulse" },
  { path: "/dead-letters", page: "dead-letters", label: "Dead letters", icon: "inbox" },
  { path: "/webhooks", page: "webhooks", label: "Webhooks", icon: "hook" },
];

const main = document.getElementById("main");
let leaving = new AbortController();
let first = true;

/** Return the route and the parameters of an address such as "#/tasks/ID?x=y". */
function matched(hash) {
  const [path, query = ""] = (hash.slice(1) || "/tasks").split("?");
  const parts = path.split("/").filter(Boolean);
  for (const route of ROUTES) {
    const wanted = route.path.split("/").filter(Boolean);
    if (wanted.length !== parts.length) continue;
    const params = { query: Object.fromEntries(new URLSearchParams(query)) };
    const fits = wanted.every((part, i) => {
      if (!part.startsWith(":")) return part === parts[i];
      params[part.slice(1)] = decoded(parts[i]);
      return true;
    });
    if (fits) return { route, params };
  }
  return null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  closeMenu();
  document.querySelectorAll("dialog[open]").forEach((one) => one.close("left"));
  const found = matched(location.hash);
  markCurrent(found?.route);
  const body = h("div", { class: "page-body" }, loading());
  const heading = h("h1", { id: "page-title", tabindex: "-1", dir: "auto" });
  replace(main, h("div", { class: "page-head" }, heading, h("div", { class: "page-actions", id: "page-actions" })), body);
  if (!found) {
    setTitle("No such page");
    replace(body, h("p", { class: "empty" }, "There is nothing at this address. ", h("a", { href: "#/tasks" }, "See the tasks")));
    return arrived(heading);
  }
  setTitle(found.route.label ?? "…");
  try {
    const page = await load(found.route);
    if (signal.aborted) return;
    setTitle(typeof page.title === "function" ? page.title(found.params) : page.title);
    arrived(heading);
    await page.render(body, found.params, signal);
  } catch (error) {
    if (signal.aborted || error?.name === "AbortError") return;
    if (!error?.status && error?.name !== "ApiError") reportError(error);
    replace(body, failure(error, show, { byItself: true }));
  }
}

/** Return a page's module; a browser that cannot fetch it says so in words of its own. */
async function load(route) {
  try {
    return await import(`./pages/${route.page}.js`);
  } catch (error) {
    if (error instanceof SyntaxError) throw error;
    connection(false);
    throw new ApiError({ status: 0, code: "unreachable", message: "The server does not answer." });
  }
}

/** Fetch the pages that are not open yet, so that they are there when the server is not. */
function fetchPages() {
  for (const route of ROUTES) import(`./pages/${route.page}.js`).catch(() => {}); // it is fetched again when it is opened
}

/** After a change of page the focus is on its h1; on the first one the browser's own start is left alone. */
function arrived(heading) {
  window.scrollTo(0, 0);
  if (first) {
    first = false;
    return;
  }
  heading.focus({ preventScroll: true });
}

function markCurrent(route) {
  const current = route?.under ?? route?.path;
  for (const one of document.querySelectorAll("#nav a")) {
    if (one.getAttribute("href") === `#${current}`) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
}

function navigation() {
  const items = ROUTES.filter((route) => route.label).map((route) =>
    h("li", null, h("a", { href: `#${route.path}` }, icon(route.icon), h("span", null, route.label))),
  );
  replace(document.getElementById("nav"), h("ul", null, items));
  replace(document.getElementById("side-foot"), themeSwitch(), keyButton(), h("a", { class: "quiet-link", href: "../docs" }, "API documentation"));
  const menu = document.getElementById("menu");
  menu.addEventListener("click", () => {
    const open = document.getElementById("side").classList.toggle("open");
    menu.setAttribute("aria-expanded", String(open));
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && closeMenu()) menu.focus();
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is the router's
    document.getElementById("page-title")?.focus();
  });
}

function closeMenu() {
  document.getElementById("menu").setAttribute("aria-expanded", "false");
  const side = document.getElementById("side");
  const was = side.classList.contains("open");
  side.classList.remove("open");
  return was;
}

function themeSwitch() {
  const root = document.documentElement;
  const choose = (event) => {
    const chosen = event.target.value;
    if (chosen === "system") delete root.dataset.theme;
    else root.dataset.theme = chosen;
    try {
      localStorage.setItem("callboard.theme", chosen);
    } catch {
      // storage is refused: it holds until the tab is closed
    }
  };
  const options = ["system", "light", "dark"].map((name) => h("option", { value: name }, name));
  return h("label", { class: "theme" }, h("span", null, "Theme"), h("select", { onchange: choose, value: root.dataset.theme ?? "system" }, options));
}

// The key.

function keyButton() {
  const button = h("button", { class: "quiet", type: "button", id: "key-button", onclick: () => askForKey(null).then((given) => given && show()) });
  replace(button, icon("key"), h("span", null, key.get() ? "API key is set" : "API key"));
  return button;
}

function showKey() {
  document.getElementById("key-button").replaceWith(keyButton());
}

/** Ask for a key; resolves to whether one was given. `error` says why it is asked for. */
async function askForKey(error) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, dir: "ltr", name: "key" });
  const wrong = error?.code === "api_key_invalid";
  const why = wrong ? "The server does not know this key." : error ? "This server asks for an API key." : "The key is sent with each request of this tab.";
  const check = () => (/^[\x21-\x7e]+$/.test(input.value.trim()) ? null : "A key has no blanks and no other characters than those of ASCII.");
  const answer = await dialog({
    title: "API key",
    check,
    body: [
      h("p", { class: wrong ? "error-text" : null, role: wrong ? "alert" : null }, why),
      field("Key", input, "Kept in this tab's session storage, and gone when the tab is closed."),
    ],
    actions: [
      { label: "Cancel", value: "cancel", plain: true },
      ...(key.get() ? [{ label: "Forget key", value: "forget", plain: true }] : []),
      { label: "Use key", value: "use", submit: true },
    ],
  });
  if (answer === "forget") key.set("");
  if (answer === "use") key.set(input.value.trim());
  showKey();
  return answer === "use" || (answer === "forget" && error === null);
}

// The connection.

let lostAt = null;
let probe = 0;

function connection(reached) {
  if (reached && lostAt) {
    lostAt = null;
    clearTimeout(probe);
    document.getElementById("banner").hidden = true;
    announce("The connection is back.");
    dispatchEvent(new Event("online")); // those who wait to reconnect need not wait longer
  } else if (!reached && !lostAt) {
    lostAt = new Date().toISOString();
    showLost();
    probe = setTimeout(ask, 1000);
  }
}

async function ask() {
  try {
    await api.get("/health/live");
  } catch {
    if (!lostAt) return;
    showLost();
    probe = setTimeout(ask, 2000);
  }
}

function showLost() {
  const banner = document.getElementById("banner");
  replace(banner, icon("offline"), h("span", null, h("strong", null, "Connection lost"), ` ${ago(lostAt)}. What you see may be out of date; trying again by itself.`));
  banner.hidden = false;
}

setInterval(() => {
  for (const one of document.querySelectorAll("time[data-ago]")) {
    const text = ago(one.getAttribute("datetime"));
    if (one.textContent !== text) one.textContent = text;
  }
}, 5000);

onKeyNeeded(askForKey);
onConnection(connection);
navigation();
addEventListener("hashchange", show);
show().finally(fetchPages);
