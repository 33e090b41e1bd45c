// Events as they happen: a bounded log, which is updated at most a few times a second.

import { el } from "./dom.js";
import * as format from "./format.js";

/** The events that are kept and shown. */
const MOST = 200;

const who = (body) => body.framework ?? body.framework_id ?? "";

/** What an event says in a sentence; one that is not known here says its name. */
const SENTENCES = {
  offer: (body) => `offered ${format.resources(body.resources)} of ${body.hostname || body.agent} to ${body.framework}`,
  rescind: (body) => `took offer ${body.offer} back from ${body.framework}`,
  inverse_offer: (body) => `asked ${body.framework} to give ${body.agent} back`,
  rescind_inverse_offer: (body) => `no longer asks ${body.framework} to give resources back`,
  launch: (body) => `launched ${body.task.id} of ${body.framework} on ${body.agent}: ${format.resources(body.task.resources)}`,
  kill: (body) => `kills ${body.task} of ${body.framework} on ${body.agent}`,
  status: (body) => `${body.task} of ${body.framework} is ${format.state(body.state)}${body.message ? `: ${body.message}` : ""}`,
  operation: (body) => `did an operation on ${body.agent}${body.framework ? ` for ${body.framework}` : ""}`,
  operation_failed: (body) => `${body.operation} failed: ${body.message}`,
  drain: (body) => `drains ${body.agent}`,
  shutdown_agent: (body) => `shuts ${body.agent} down: ${body.message}`,
  shutdown_framework: (body) => `shuts ${body.framework} down on ${body.agent}`,
  framework_removed: (body) => `removed framework ${who(body)}`,
  subscribed: (body) => `framework ${body.framework} subscribed`,
  agent_lost: (body) => `lost agent ${body.agent}`,
  task_conflict: (body) => `${body.agent} came with ${body.task} of ${body.framework}, which runs elsewhere`,
  warning: (body) => `${body.command}: ${body.message}`,
  message: (body) => `passed a message of ${body.framework} to ${body.executor} on ${body.agent}`,
  executor_message: (body) => `passed a message of ${body.executor} on ${body.agent} to ${body.framework}`,
  executor_ended: (body) => `${body.executor} of ${body.framework} on ${body.agent} ended`,
  acknowledge: (body) => `${body.framework} has heard of ${body.task}`,
  agent_added: (body) => `agent ${body.agent} registered`,
  agent_updated: (body) => `agent ${body.agent} changed`,
  agent_removed: (body) => `agent ${body.agent} was removed`,
  framework_added: (body) => `framework ${body.framework} registered`,
  framework_updated: (body) => `framework ${body.framework} changed`,
  reset: () => "some events were missed; all lists are up to date",
};

function sentence(kind, body) {
  try {
    return SENTENCES[kind]?.(body) ?? kind.replaceAll("_", " ");
  } catch {
    return kind.replaceAll("_", " ");
  }
}

/** The log of events. */
export function eventLog() {
  const items = el("ol", { className: "events", role: "log", "aria-live": "polite", "aria-label": "Events, the newest first", tabIndex: 0 });
  const nothing = el("p", { className: "nothing" }, "Nothing has happened since this page was opened.");
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause");
  let [waiting, isPaused, scheduled] = [[], false, false];

  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(isPaused));
    if (!isPaused) schedule();
  });

  function show() {
    scheduled = false;
    if (isPaused || waiting.length === 0) return;
    const made = waiting.splice(0).map(({ at, kind, body }) => {
      const time = at === undefined ? "" : format.moment(at);
      return el("li", { "data-kind": kind }, el("time", { className: "quiet" }, time), el("span", { className: "tag" }, kind.replaceAll("_", " ")), el("span", {}, sentence(kind, body)));
    });
    items.prepend(...made.reverse());
    while (items.children.length > MOST) items.lastElementChild.remove();
    nothing.hidden = true;
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    setTimeout(show, 250);
  }

  function add(event) {
    waiting.push(event);
    if (waiting.length > MOST) waiting.shift();
    schedule();
  }

  /** Listens to the master for as long as the page is there; the browser connects again by itself, unless it is refused. */
  function listen(told) {
    const source = new EventSource("apportion/events");
    source.addEventListener("open", () => told.live(true));
    source.addEventListener("error", () => {
      told.live(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(told), 5000);
    });
    source.addEventListener("message", (message) => {
      const { at, emit } = JSON.parse(message.data);
      const [[kind, body]] = Object.entries(emit);
      add({ at, kind, body });
      told.changed();
    });
    source.addEventListener("reset", () => {
      add({ kind: "reset", body: {} });
      told.changed();
    });
  }

  return { element: el("div", { className: "log" }, el("div", { className: "bar-tools" }, pause), nothing, items), listen };
}
