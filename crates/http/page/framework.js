// One framework: why it is not offered more, what would change that, its tasks and its offers.

import { el, fill, table, rows } from "./dom.js";
import * as format from "./format.js";
import { frameworkLink, learnNames, listOf, nameOf } from "./lists.js";

/** What a reason says beyond its sentence: how long it lasts, and who holds what. */
function details(reason, at) {
  const lines = [];
  if (reason.until !== undefined) lines.push(`ends in ${format.span(reason.until - at)}`);
  if (reason.last !== undefined) lines.push(`the last one in ${format.span(reason.last - at)}`);
  if (reason.next !== undefined && reason.next !== null) lines.push(`next allocation in ${format.span(reason.next - at)}`);
  if (reason.waited !== undefined) lines.push(`has waited for ${format.span(reason.waited)}`);
  for (const holder of (reason.holders ?? []).slice(0, 5)) {
    lines.push(`${nameOf(holder.framework)} (${holder.role}) holds ${format.plural(holder.offers, "offer")} of ${format.amounts(holder.amounts)} for ${format.span(at - holder.since)}`);
  }
  const more = (reason.holders ?? []).length - 5;
  if (more > 0) lines.push(`and ${format.plural(more, "other")} with offers`);
  return lines;
}

/** What can be done about a reason, where something can. */
const REMEDIES = {
  suppressed: "It asks for no offers: it has to revive the role.",
  framework_inactive: "It has to subscribe again.",
  filtered: "It declined this: it may revive, or wait.",
  quota_limit: "A higher limit would change that.",
  headroom: "A guarantee of its own role, or an agent more, would change that.",
  outranked: "A higher weight of its role, or an agent more, would change that.",
  reserved: "It may take a role that this is reserved to.",
};

/** The sentence of a reason, with the name of the framework that it is about. */
function words(reason) {
  const text = format.sentence(reason.text);
  return reason.framework ? text.replaceAll(reason.framework, nameOf(reason.framework)) : text;
}

/** Explanations as the core words them, one card for each role. */
export function explanations(all, at) {
  const reason = (found) => {
    const lines = details(found, at);
    return el("li", { "data-kind": found.kind },
      el("div", { className: "reason" },
        found.agents !== undefined && el("span", { className: "tag" }, format.plural(found.agents, "agent")),
        el("span", { className: "reason-text" }, words(found))),
      lines.length > 0 && el("ul", { className: "plain quiet" }, lines.map((line) => el("li", {}, line))),
      REMEDIES[found.kind] && el("p", { className: "quiet remedy" }, REMEDIES[found.kind]));
  };
  return all.map((explanation) => el("section", { className: "card", "aria-label": `Role ${explanation.role}` },
    el("h3", {}, "As ", el("span", { className: "id" }, explanation.role), explanation.agent && [" on ", el("span", { className: "id" }, explanation.agent)]),
    el("ol", { className: "reasons" }, explanation.reasons.map(reason))));
}

const side = (offered) => (offered.offers === 0 ? "nothing" : `${format.plural(offered.offers, "offer")}: ${format.amounts(offered.amounts)}`);

/** Says which way an amount has gone. */
function change(row) {
  const names = new Set([...Object.keys(row.without.amounts), ...Object.keys(row.with.amounts)]);
  const of = (name) => (row.with.amounts[name] ?? 0) - (row.without.amounts[name] ?? 0);
  const parts = format.ordered(Object.fromEntries([...names].map((name) => [name, of(name)]))).filter(([, value]) => value !== 0);
  if (parts.length === 0) return el("span", { className: "quiet" }, "no change");
  return parts.map(([name, value]) => el("span", { className: `tag ${value > 0 ? "good" : "bad"}` }, `${value > 0 ? "+" : "−"}${format.named(name, Math.abs(value))}`));
}

const resultColumns = (framework) => [
  { title: "Framework", cell: (row) => [frameworkLink(row.framework), row.framework === framework && el("span", { className: "quiet" }, " (this one)")] },
  { title: "Role", cell: (row) => el("span", { className: "tag" }, row.role) },
  { title: "Without it", cell: (row) => side(row.without) },
  { title: "With it", cell: (row) => side(row.with) },
  { title: "Change", cell: change },
];

const field = (text, input, hint) => el("label", {}, el("span", {}, text), input, hint && el("span", { className: "quiet" }, hint));

const numberField = (name, placeholder) => el("input", { name, type: "number", min: 0, step: "any", placeholder, inputMode: "decimal" });

/** Reads the numbers that were entered; memory is entered in gigabytes. */
function entered(data, prefix) {
  const amounts = {};
  for (const [name, factor] of [["cpus", 1], ["mem", 1024], ["disk", 1024], ["gpus", 1]]) {
    const text = data.get(`${prefix}-${name}`)?.trim();
    if (text) amounts[name] = Math.round(Number(text) * factor * 1000) / 1000;
  }
  return amounts;
}

/** The fields of each kind of change, and the changes that are read from them. */
const CHANGES = {
  quota: {
    title: "A quota",
    fields: (roles) => [
      field("Role", roles("quota-role")),
      el("div", { className: "pair" }, field("Guaranteed CPUs", numberField("guarantee-cpus", "none")), field("Guaranteed memory, GB", numberField("guarantee-mem", "none"))),
      el("div", { className: "pair" }, field("At most CPUs", numberField("limit-cpus", "no limit")), field("At most memory, GB", numberField("limit-mem", "no limit"))),
      el("p", { className: "quiet" }, "This replaces the quota that the role has; fields that are left empty guarantee or limit nothing."),
    ],
    read: (data) => [{ set_quota: { role: data.get("quota-role"), guarantees: entered(data, "guarantee"), limits: entered(data, "limit") } }],
  },
  weight: {
    title: "A weight",
    fields: (roles) => [field("Role", roles("weight-role")), field("Weight", el("input", { name: "weight", type: "number", min: 0.001, step: "any", value: "2", required: true }))],
    read: (data) => [{ set_weight: { role: data.get("weight-role"), weight: Number(data.get("weight")) } }],
  },
  agent: {
    title: "More agents",
    fields: () => [
      field("How many", el("input", { name: "agents", type: "number", min: 1, max: 32, value: "1", required: true })),
      field("Resources of each", el("input", { name: "resources", value: "cpus:4;mem:8192;disk:65536", required: true, spellcheck: false, autocomplete: "off" }), "As an agent gives them; memory and disk in MB."),
    ],
    read: (data) => Array.from({ length: Math.min(32, Number(data.get("agents"))) }, (_, at) => ({ add_agent: { id: `what-if-${at + 1}`, resources: data.get("resources") } })),
  },
};

/** The form that asks what would be after a change. */
function whatIf(framework, roles, post) {
  const select = (name) => {
    const input = el("input", { name, value: roles[0] ?? "*", required: true, list: "known-roles", autocomplete: "off", spellcheck: false });
    return input;
  };
  const kinds = Object.entries(CHANGES).map(([kind, { title }], at) => el("label", { className: "choice" }, el("input", { type: "radio", name: "kind", value: kind, checked: at === 0 }), title));
  const fields = el("div", { className: "fields" });
  const result = el("div", { className: "result", "aria-live": "polite" });
  const button = el("button", { type: "submit", className: "primary" }, "Try it");
  const form = el("form", { className: "card", id: "what-if", autocomplete: "off" },
    el("p", { className: "quiet" }, "A copy of the master takes all live offers back, makes the change and allocates once. Nothing here is changed."),
    el("fieldset", {}, el("legend", {}, "What if there were"), el("div", { className: "choices" }, kinds)),
    fields, el("datalist", { id: "known-roles" }, roles.map((role) => el("option", { value: role }))), button, result);
  const show = () => fields.replaceChildren(...CHANGES[new FormData(form).get("kind")].fields(select));
  form.addEventListener("change", (event) => event.target.name === "kind" && show());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    button.disabled = true;
    const { answer, error } = await post("apportion/what-if", { changes: CHANGES[data.get("kind")].read(data), framework });
    button.disabled = false;
    button.focus();
    if (error) {
      fill(result, el("p", { className: "error" }, error));
      return;
    }
    const shown = answer.frameworks.slice(0, 200);
    const own = shown.filter((row) => row.framework === framework);
    const columns = resultColumns(framework);
    const { element, body } = table("Who would be offered what", columns);
    rows(body, columns, [...own, ...shown.filter((row) => row.framework !== framework)], (row) => `${row.framework}\n${row.role}`);
    result.replaceChildren(
      el("h3", {}, "Who would be offered what"),
      ...answer.warnings.map((warning) => el("p", { className: "error" }, warning)),
      shown.length > 0 ? el("div", { className: "wide list" }, element) : el("p", { className: "nothing" }, "Nobody would be offered anything."),
      ...(shown.length < answer.frameworks.length ? [el("p", { className: "quiet" }, `and ${format.plural(answer.frameworks.length - shown.length, "other")}`)] : []),
      el("h3", {}, "What would decide then"),
      ...explanations(answer.explanations, answer.at));
  });
  show();
  return form;
}

/** The view of a framework. */
export function frameworkView(framework, { ask, post }) {
  const name = el("h2", { className: "id" }, framework);
  const about = el("p", { className: "quiet" });
  const agent = el("input", { type: "search", name: "agent", placeholder: "all agents", "aria-label": "Explain for one agent: its id", autocomplete: "off", spellcheck: false });
  const reasons = el("div", { className: "explanations" });
  const form = el("div", {});
  const tasks = listOf("tasks", ask, { framework }, true);
  const offers = listOf("offers", ask, { framework }, false);
  let [typing, learned] = [];
  agent.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(explain, 300);
  });

  async function explain() {
    const query = new URLSearchParams({ framework, ...(agent.value.trim() ? { agent: agent.value.trim() } : {}) });
    const { answer, error } = await ask(`apportion/explain?${query}`, true);
    if (error) fill(reasons, el("p", { className: "error" }, error));
    else if (answer) fill(reasons, explanations(answer.explanations, answer.at));
  }

  async function refresh() {
    learned ??= learnNames(ask);
    await learned;
    const known = await ask(`apportion/frameworks?${new URLSearchParams({ framework, limit: 1 })}`);
    const [found] = known?.items ?? [];
    if (known && !found) fill(about, "The master does not know this framework: it was removed, or never came.");
    if (found) {
      name.textContent = found.name ? `${found.name} ` : framework;
      fill(about, el("code", { className: "id" }, framework), ` · ${format.plural(found.tasks, "task")} · ${format.plural(found.offers, "offer")} · holds ${format.amounts(found.allocated)}`);
      if (!form.firstChild) form.append(whatIf(framework, found.roles, post));
    }
    await Promise.all([explain(), tasks.refresh(), offers.refresh()]);
  }

  const element = el("div", { className: "framework" }, name, about,
    el("section", { "aria-labelledby": "why" }, el("h2", { id: "why" }, "Why is it not offered more?"), el("div", { className: "bar-tools" }, el("label", { className: "inline" }, "For ", agent)), reasons),
    el("section", { "aria-labelledby": "what" }, el("h2", { id: "what" }, "What if?"), form),
    el("section", { "aria-labelledby": "its-tasks" }, el("h2", { id: "its-tasks" }, "Tasks"), tasks.element),
    el("section", { "aria-labelledby": "its-offers" }, el("h2", { id: "its-offers" }, "Offers"), offers.element));
  return { element, refresh };
}
