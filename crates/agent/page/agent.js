// The page of an agent: what runs, what has ended, and where its files are.

import { el, fill, rows, table } from "./dom.js";
import * as format from "./format.js";
import { browser, reader } from "./files.js";
import { Plots } from "./plots.js";

const PAUSE = 2000;
const by = (id) => document.getElementById(id);
const plots = new Plots();
let view = { show: () => {} };
let state;

/** Asks the agent. */
export async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(`${answer.status}: ${(await answer.text()).trim()}`);
  return answer.json();
}

const tag = (text, kind = "") => el("span", { className: `tag ${kind}` }, text);

const KINDS = { TASK_RUNNING: "good", TASK_FINISHED: "good", TASK_KILLED: "", TASK_KILLING: "warn", TASK_STAGING: "warn", TASK_STARTING: "warn" };

function taskState(task) {
  const last = task.statuses.at(-1);
  const isUnhealthy = last?.healthy === false;
  return [tag(format.state(task.state), KINDS[task.state] ?? "bad"), isUnhealthy && tag("unhealthy", "bad")];
}

/** The executors of frameworks with where they stand. */
function executors(key) {
  const all = [];
  const frameworks = [...state.frameworks, ...state.completed_frameworks];
  for (const framework of frameworks) {
    for (const executor of framework[key]) all.push({ framework, executor });
  }
  return all;
}

const link = (path, text) => el("a", { href: `#/file?path=${encodeURIComponent(path)}` }, text);

function files(executor) {
  return el("span", {}, link(executor.directory, "files"), " ", link(`${executor.directory}/stdout`, "stdout"), " ", link(`${executor.directory}/stderr`, "stderr"));
}

function tasks(executor) {
  const all = [...executor.queued_tasks, ...executor.tasks, ...executor.completed_tasks];
  if (all.length === 0) return el("span", { className: "quiet" }, "none");
  const line = (task) => el("li", {}, taskState(task), " ", el("span", { className: "id" }, task.id), task.name !== task.id && el("span", { className: "quiet" }, ` ${task.name}`));
  const rest = all.length - 50;
  return el("ul", { className: "plain" }, all.slice(-50).reverse().map(line), rest > 0 && el("li", { className: "quiet" }, `and ${format.plural(rest, "more task")}`));
}

const COLUMNS = [
  {
    title: "Executor",
    cell: ({ executor }) => [el("div", { className: "id" }, executor.id), executor.name && el("div", { className: "quiet" }, executor.name)],
  },
  { title: "Framework", cell: ({ framework }) => [el("div", {}, framework.name || framework.id), el("div", { className: "quiet id" }, framework.id)] },
  { title: "Tasks", cell: ({ executor }) => tasks(executor) },
  { title: "Allocated", cell: ({ executor }) => format.amounts(numbers(executor.resources)) },
  { title: "Use", cell: ({ executor }) => plots.of(executor.container) },
  { title: "Sandbox", cell: ({ executor }) => files(executor) },
];

/** The amounts that are numbers. */
const numbers = (resources) => Object.fromEntries(Object.entries(resources).filter(([, value]) => typeof value === "number"));

/** A list of executors. */
function list(title, key, columns, none) {
  const { element, body } = table(title, columns);
  const nothing = el("p", { className: "nothing" }, none);
  const wide = el("div", { className: "wide" }, element);
  const show = () => {
    if (!state) return;
    const all = executors(key);
    rows(body, columns, all, ({ executor }) => executor.container);
    [wide.hidden, nothing.hidden] = [all.length === 0, all.length > 0];
  };
  return { element: el("section", { className: "list" }, el("h2", {}, title), wide, nothing), show };
}

/** Makes the view that the address names. */
function route() {
  const [name, query] = location.hash.replace(/^#\//, "").split("?");
  const path = new URLSearchParams(query ?? "").get("path");
  view.stop?.();
  if (name === "file" && path) view = path.match(/\/(std(out|err)|log)$/) ? reader(path) : browser(path);
  else if (name === "read" && path) view = reader(path);
  else if (name === "ended") view = list("Ended", "completed_executors", COLUMNS.filter(({ title }) => title !== "Use"), "Nothing has ended yet.");
  else view = list("Running", "executors", COLUMNS, "Nothing runs here.");
  by("content").replaceChildren(view.element);
  for (const item of document.querySelectorAll("nav a")) {
    const isHere = (item.getAttribute("href") === location.hash) || (item.hash === "#/running" && !location.hash);
    if (isHere) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  view.show();
}

function about() {
  by("title").textContent = state.hostname;
  document.title = `${state.hostname}: apportion agent`;
  const master = state.master_hostname ? `master ${state.master_hostname}` : "no master";
  const attributes = Object.entries(state.attributes).map(([name, value]) => `${name} ${value}`);
  const since = format.span(Date.now() / 1000 - state.start_time);
  const parts = [state.id || "not registered", format.amounts(numbers(state.resources)), ...attributes, master, `up for ${since}`];
  by("about").textContent = parts.join(" · ");
  by("count-running").textContent = format.count(executors("executors").length);
  by("count-ended").textContent = format.count(executors("completed_executors").length);
}

/** Asks again and again, as long as somebody may look. */
async function follow() {
  for (;;) {
    if (!document.hidden) {
      try {
        const [latest, statistics] = await Promise.all([ask("state"), ask("monitor/statistics")]);
        state = latest;
        plots.add(statistics);
        about();
        view.show();
        by("live").className = "live on";
        fill(by("live"), "live");
        by("banner").hidden = true;
      } catch (error) {
        by("live").className = "live";
        fill(by("live"), "no answer");
        by("banner").textContent = `The agent does not answer: ${error.message}`;
        by("banner").hidden = false;
      }
    }
    await new Promise((resume) => setTimeout(resume, PAUSE));
  }
}

by("skip").addEventListener("click", (event) => {
  event.preventDefault();
  by("content").focus();
});
addEventListener("hashchange", route);
route();
follow();
