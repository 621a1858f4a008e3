// What a page may do to the frame around it: title, actions, the address, announcements.

import { h, replace } from "./dom.js";

/** Set the h1 and the tab's title. */
export function setTitle(title) {
  const heading = document.getElementById("page-title");
  if (heading && heading.textContent !== title) replace(heading, title);
  document.title = `${title} · Callboard`;
}

/** Put buttons and links beside the h1. */
export function setActions(...children) {
  const place = document.getElementById("page-actions");
  if (place) replace(place, ...children);
}

/** Return the address of a page of the console: link("/tasks", {status: "failed"}). */
export function link(path, query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${path}${pairs.length ? `?${new URLSearchParams(pairs)}` : ""}`;
}

/** Return the address of one thing's page: to("/tasks", id). */
export function to(path, id) {
  return `#${path}/${encodeURIComponent(id)}`;
}

/** Keep a page's filters in its address, without leaving the page. */
export function setQuery(query) {
  const path = location.hash.slice(1).split("?")[0] || "/tasks";
  history.replaceState(null, "", link(path, query));
}

/** Go to another page. */
export function go(address) {
  location.hash = address;
}

/** Say something to those who hear the page. */
export function announce(message) {
  const place = document.getElementById("announcer");
  replace(place, "");
  setTimeout(() => replace(place, message), 50); // a change is announced, the same text again is not
}

/** Say something for a moment, to all. */
export function toast(message) {
  const one = h("div", { class: "toast" }, message);
  document.getElementById("toasts").append(one);
  announce(message);
  setTimeout(() => one.remove(), 5000);
}
