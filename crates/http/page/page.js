// The page: which view is shown, what is asked of the master and when, and the theme.

import { el } from "./dom.js";
import { eventLog } from "./events.js";
import * as format from "./format.js";
import { frameworkView } from "./framework.js";
import { listOf, overview } from "./lists.js";

/** The shortest time between two looks at the master, and the longest, in milliseconds. */
const [PAUSE, REST] = [1500, 5000];

const by = (id) => document.getElementById(id);
const main = by("content");

// What is asked of the master.

const said = (text) => {
  const banner = by("banner");
  if (banner.textContent !== text) banner.replaceChildren(text);
  banner.hidden = !text;
};

async function request(path, options = {}) {
  try {
    const response = await fetch(path, { redirect: "manual", cache: "no-store", ...options });
    if (response.type === "opaqueredirect") {
      said("");
      by("banner").replaceChildren("Another master leads: ", el("a", { href: "redirect" }, "go there"), ".");
      by("banner").hidden = false;
      return {};
    }
    if (response.ok) {
      said("");
      return { answer: await response.json() };
    }
    const text = (await response.text()).slice(0, 1000) || response.statusText;
    if (response.status === 401) said("The master asks for a name and a password: load the page again to enter them.");
    else if (response.status === 503) said(`The master cannot answer now: ${text}.`);
    return { error: text };
  } catch {
    said("No connection to the master. Trying again.");
    return {};
  }
}

/** Asks for JSON: returns it, or nothing; with `whole`, an object of the answer or the error. */
async function ask(path, whole = false) {
  const result = await request(path);
  return whole ? result : result.answer;
}

const post = async (path, body) => {
  const result = await request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return result.answer || result.error ? result : { error: "The master did not answer." };
};

// Which view is shown.

const log = eventLog();

function makeView(hash) {
  const [name, ...rest] = hash.replace(/^#\/?/, "").split("/");
  const framework = rest.join("/");
  if (name === "framework" && framework) {
    return { title: "Framework", nav: "frameworks", ...frameworkView(decoded(framework), { ask, post }) };
  }
  if (["agents", "frameworks", "roles", "tasks", "offers"].includes(name)) {
    const view = listOf(name, ask);
    const title = name[0].toUpperCase() + name.slice(1);
    return { title, nav: name, element: el("section", { "aria-label": title }, el("h2", {}, title), view.element), refresh: view.refresh };
  }
  if (name === "events") {
    return { title: "Events", nav: name, element: el("section", { "aria-label": "Events" }, el("h2", {}, "Events"), log.element), refresh: () => {} };
  }
  const cluster = el("div", {});
  const element = el("div", {}, el("section", { "aria-label": "Cluster" }, el("h2", {}, "Cluster"), cluster),
    el("section", { "aria-label": "Events" }, el("h2", {}, "Events"), log.element));
  return { title: "Overview", nav: "overview", element, refresh: () => {}, show: (summary) => overview(cluster, summary) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let view;

function route() {
  view = makeView(location.hash);
  main.replaceChildren(view.element);
  document.title = `${view.title} · apportion`;
  document.querySelectorAll("nav a").forEach((link) => {
    if (link.getAttribute("href") === `#/${view.nav}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  soon(0);
}

// When the master is asked: soon after an event, at the latest after a while, and not while nobody looks.

let [timer, last, running] = [undefined, -Infinity, false];

function soon(wait = PAUSE) {
  const due = Math.max(0, wait === 0 ? 0 : last + wait - performance.now());
  clearTimeout(timer);
  timer = setTimeout(refresh, due);
}

async function refresh() {
  if (document.hidden || running) return soon(REST);
  running = true;
  const shown = view;
  const summary = await ask("apportion/summary");
  if (summary) {
    format.setStart(summary.master.started);
    by("about").textContent = `${summary.master.cluster ? `${summary.master.cluster} · ` : ""}${summary.master.hostname}:${summary.master.port}`;
    for (const name of ["agents", "frameworks", "roles", "tasks", "offers"]) by(`count-${name}`).textContent = format.count(summary[name]);
    shown.show?.(summary);
  }
  await shown.refresh();
  running = false;
  last = performance.now();
  soon(shown === view ? REST : 0);
}

log.listen({
  changed: () => soon(),
  live: (isLive) => {
    by("live").textContent = isLive ? "live" : "connecting";
    by("live").classList.toggle("on", isLive);
  },
});

// The theme: that of the system, or another one.

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  by("theme").textContent = `Theme: ${theme}`;
}

function stored() {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem("theme")) ?? "auto";
  } catch {
    return "auto"; // a browser that keeps nothing
  }
}

by("theme").addEventListener("click", () => {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length];
  setTheme(theme);
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It holds until the page is left.
  }
});

by("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is shown
  main.focus();
});
window.addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
});
document.addEventListener("visibilitychange", () => document.hidden || soon(0));
setTheme(stored());
route();
