// The lists: agents with what is held by whom, frameworks, roles, tasks, offers.

import { el, fill, list } from "./dom.js";
import * as format from "./format.js";

const id = (text) => el("code", { className: "id" }, text);

const tag = (text, kind) => el("span", { className: `tag ${kind ?? ""}` }, text);

/** The names of frameworks, as far as they were told. */
const names = new Map();

export const nameOf = (framework) => names.get(framework) || framework;

const learn = (framework, name) => name && names.set(framework, name);

/** Learns the names of all frameworks, up to a thousand. */
export async function learnNames(ask) {
  const known = await ask("apportion/frameworks?limit=1000");
  known?.items.forEach((row) => learn(row.id, row.name));
}

/** A link to a framework: by its name, if it has one. */
export const frameworkLink = (framework, name = names.get(framework)) => el("a", { href: `#/framework/${encodeURIComponent(framework)}`, className: name ? "" : "id", title: framework }, name || framework);

/** The colour of a framework, always the same one. */
function hue(framework) {
  let hash = 0;
  for (const unit of framework) hash = (hash * 31 + unit.codePointAt(0)) >>> 0;
  return `hue-${hash % 8}`;
}

/** A bar of one resource: parts with their widths, and the text that says the same. */
export function bar(name, total, parts) {
  const used = parts.reduce((sum, part) => sum + part.value, 0);
  const segments = parts.filter((part) => part.value > 0).map((part) => {
    const segment = el("span", { className: `segment ${part.className}`, title: `${part.title}: ${format.named(name, part.value)}` });
    segment.style.width = `${(100 * part.value) / Math.max(total, used)}%`;
    return segment;
  });
  const text = `${format.amount(name, used)} of ${format.named(name, total)}`;
  const spoken = [text, ...parts.filter((part) => part.value > 0).map((part) => `${part.title} ${format.amount(name, part.value)}`)].join("; ");
  return el("div", { className: "meter" }, el("span", { className: "meter-text" }, text), el("div", { className: "track", role: "img", "aria-label": spoken }, segments));
}

function agentBars(agent) {
  const totals = format.ordered(agent.amounts.total).filter(([name, total]) => total > 0 && name !== "ports");
  return totals.map(([name, total]) => {
    const parts = agent.held.flatMap((held) => [
      { value: held.allocated[name] ?? 0, className: hue(held.framework), title: `${held.name ?? held.framework} (${held.role})` },
      { value: held.offered[name] ?? 0, className: `${hue(held.framework)} offered`, title: `offered to ${held.name ?? held.framework} (${held.role})` },
    ]);
    return bar(name, total, parts);
  });
}

function holders(agent) {
  if (agent.held.length === 0) return el("span", { className: "quiet" }, "nobody");
  const line = (held) => el("li", {},
    el("span", { className: `dot ${hue(held.framework)}` }), frameworkLink(held.framework, held.name), " ",
    el("span", { className: "quiet" }, [held.tasks && format.plural(held.tasks, "task"), held.offers && format.plural(held.offers, "offer")].filter(Boolean).join(", ")));
  const lines = agent.held.slice(0, 6).map(line);
  const more = agent.held.length - lines.length;
  return el("ul", { className: "plain" }, lines, more > 0 && el("li", { className: "quiet" }, `and ${format.plural(more, "other")}`));
}

function agentState(agent) {
  const tags = [
    !agent.connected && tag("disconnected", "bad"),
    agent.draining && tag("draining", "warn"),
    agent.connected && !agent.draining && !agent.active && tag("inactive", "warn"),
    Object.keys(agent.overcommitted).length > 0 && tag("overcommitted", "warn"),
  ].filter(Boolean);
  return tags.length ? tags : [tag("active", "good")];
}

/** Attributes as the master writes them, a text or a list, in a line. */
function attributes(agent) {
  const all = agent.attributes ?? "";
  if (typeof all === "string") return all.split(";").join(", ").replaceAll(":", " ");
  return all.map(({ name, ...value }) => `${name} ${Object.values(value).map((part) => part?.value ?? JSON.stringify(part)).pop()}`).join(", ");
}

const title = (row, name, page) => el("div", {}, page ? el("a", { href: page, rel: "noreferrer" }, id(name ?? row.id)) : id(name ?? row.id), name && name !== row.id && el("div", { className: "quiet id" }, row.id));

function frameworkState(framework) {
  if (framework.recovered) return tag("recovered", "warn");
  if (!framework.active) return tag("disconnected", "bad");
  const suppressed = framework.suppressed.length;
  if (suppressed === 0) return tag("active", "good");
  return tag(suppressed === framework.roles.length ? "suppressed" : `${suppressed} of ${framework.roles.length} roles suppressed`, "warn");
}

const holds = (held) => el("div", {}, el("div", {}, format.amounts(held.allocated)),
  Object.keys(held.offered).length > 0 && el("div", { className: "quiet" }, `offered: ${format.amounts(held.offered)}`));

function quota(role) {
  const names = new Set([...Object.keys(role.quota.guarantees), ...Object.keys(role.quota.limits)]);
  if (names.size === 0) return el("span", { className: "quiet" }, "none");
  const line = (name) => {
    const [guarantee, limit] = [role.quota.guarantees[name], role.quota.limits[name]];
    const parts = [
      guarantee !== undefined && `guaranteed ${format.amount(name, guarantee)}`,
      limit !== undefined && `at most ${format.amount(name, limit)}`,
    ];
    return el("li", {}, `${format.label(name)}: ${parts.filter(Boolean).join(", ")}`);
  };
  return el("ul", { className: "plain" }, [...names].map(line));
}

function headroom(role) {
  const lines = [];
  if (Object.keys(role.below_guarantee ?? {}).length > 0) lines.push(tag(`lacks ${format.amounts(role.below_guarantee)}`, "warn"));
  const left = format.ordered(role.left).map(([name, value]) => (value > 0 ? `${format.named(name, value)} left` : `no ${format.label(name)} left`));
  if (left.length > 0) lines.push(el("div", {}, left.join(", ")));
  if (lines.length === 0) lines.push(el("span", { className: "quiet" }, Object.keys(role.quota.guarantees).length ? "guarantee met" : "no limit"));
  return lines;
}

const depth = (role) => Math.min(4, role.role.split("/").length - 1);

const columns = {
  agents: [
    { title: "Agent", cell: (agent) => [title(agent, agent.hostname, agent.page), el("div", { className: "quiet" }, attributes(agent))] },
    { title: "State", cell: agentState },
    { title: "Held", className: "bars", cell: agentBars },
    { title: "By", cell: holders },
  ],
  frameworks: [
    { title: "Framework", cell: (framework) => el("div", {}, el("div", { className: "strong" }, framework.name ?? ""), frameworkLink(framework.id)) },
    { title: "Roles", cell: (framework) => framework.roles.map((role) => tag(role)) },
    { title: "State", cell: frameworkState },
    { title: "Tasks", className: "number", cell: (framework) => format.count(framework.tasks) },
    { title: "Offers", className: "number", cell: (framework) => format.count(framework.offers) },
    { title: "Holds", cell: holds },
    { title: "More?", cell: (framework) => el("a", { className: "button", href: `#/framework/${encodeURIComponent(framework.id)}`, "aria-label": `Why is ${framework.name ?? framework.id} not offered more?` }, "Why not more?") },
  ],
  roles: [
    { title: "Role", cell: (role) => el("span", { className: `id role depth-${depth(role)}` }, role.role) },
    { title: "Weight", className: "number", cell: (role) => format.count(role.weight) },
    { title: "Share", className: "bars", cell: (role) => el("div", { className: "meter" }, el("span", { className: "meter-text" }, format.share(role.share)), track(role.share)) },
    { title: "Holds", cell: holds },
    { title: "Reserved", cell: (role) => format.amounts(role.reserved, "–") },
    { title: "Quota", cell: quota },
    { title: "Headroom", cell: headroom },
    { title: "Frameworks", className: "number", cell: (role) => format.count(role.frameworks.length) },
  ],
  tasks: [
    { title: "Task", cell: (task) => id(task.id) },
    { title: "State", cell: (task) => tag(format.state(task.state), task.state === "TASK_RUNNING" ? "good" : "") },
    { title: "Framework", cell: (task) => frameworkLink(task.framework, task.framework_name) },
    { title: "Role", cell: (task) => tag(task.role) },
    { title: "Agent", cell: (task) => id(task.hostname || task.agent) },
    { title: "Resources", cell: (task) => format.resources(task.resources) },
  ],
  offers: [
    { title: "Offer", cell: (offer) => id(offer.id) },
    { title: "Age", className: "number", cell: (offer) => format.span(offer.age) },
    { title: "Framework", cell: (offer) => frameworkLink(offer.framework, offer.framework_name) },
    { title: "Role", cell: (offer) => tag(offer.role) },
    { title: "Agent", cell: (offer) => id(offer.hostname || offer.agent) },
    { title: "Resources", cell: (offer) => format.resources(offer.resources) },
  ],
};

function track(fraction) {
  const segment = el("span", { className: "segment used" });
  segment.style.width = `${100 * Math.min(1, fraction)}%`;
  return el("div", { className: "track", "aria-hidden": "true" }, segment);
}

/** A list of the master, of all or of what `filter` says; `ask` asks the master. */
export function listOf(noun, ask, filter = {}, searchable = true) {
  const load = (page) => {
    const order = noun === "tasks" ? { order: "desc" } : {}; // the newest first
    const query = new URLSearchParams({ ...filter, ...order, ...page });
    return ask(`apportion/${noun}?${query}`);
  };
  const keyOf = (row) => (noun === "roles" ? row.role : noun === "tasks" ? `${row.framework}\n${row.id}\n${row.agent}` : row.id);
  return list({ noun, columns: columns[noun], keyOf, load, className: noun, searchable });
}

/** The cluster in a few bars and numbers. */
export function overview(element, summary) {
  const totals = format.ordered(summary.total).filter(([, total]) => total > 0);
  const bars = totals.map(([name, total]) => el("div", { className: "card" }, el("h3", {}, format.label(name)),
    bar(name, total, [
      { value: summary.allocated[name] ?? 0, className: "used", title: "in use" },
      { value: summary.offered[name] ?? 0, className: "used offered", title: "offered" },
    ]),
    el("p", { className: "quiet" }, `${format.amount(name, summary.allocated[name] ?? 0)} in use, ${format.amount(name, summary.offered[name] ?? 0)} offered`)));
  const required = Object.keys(summary.headroom.required).length > 0;
  const nothing = bars.length === 0 && el("p", { className: "nothing" }, "No agent has registered yet.");
  fill(element,
    el("div", { className: "cards" }, bars), nothing,
    el("p", { className: "key" }, el("span", { className: "dot used" }), "in use ", el("span", { className: "dot used offered" }), "offered ", el("span", { className: "dot free" }), "free"),
    required && el("p", {}, `Guarantees need ${format.amounts(summary.headroom.required)} kept free; free now: ${format.amounts(summary.headroom.free)}.`));
}
