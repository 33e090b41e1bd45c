// Numbers, amounts and times as people read them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

/** Resources that are counted in megabytes. */
const MEGABYTES = new Set(["mem", "disk"]);

/** The order in which resources are shown; others follow by name. */
const ORDER = ["cpus", "mem", "disk", "gpus"];

export const count = (number) => whole.format(number ?? 0);

export const share = (fraction) => percent.format(fraction ?? 0);

/** "1 task", "2 tasks". */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** An amount of a resource: "1.5 GB" for 1536 of memory. */
export function amount(name, value) {
  if (!MEGABYTES.has(name)) return short.format(value);
  const units = ["MB", "GB", "TB", "PB"];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${short.format(value)} ${units[unit]}`;
}

/** The name of a resource in a label. */
export const label = (name) => ({ cpus: "CPUs", mem: "memory", disk: "disk", gpus: "GPUs" })[name] ?? name;

/** An amount with its name: "4 CPUs", "1.5 GB memory". */
export function named(name, value) {
  const noun = label(name);
  return `${amount(name, value)} ${value === 1 && /^[CG]PUs$/.test(noun) ? noun.slice(0, -1) : noun}`;
}

/** Names and amounts in the order in which they are shown. */
export function ordered(amounts) {
  const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return Object.entries(amounts ?? {}).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Amounts in a line: "4 CPUs, 1.5 GB memory". */
export function amounts(all, none = "nothing") {
  const parts = ordered(all).filter(([, value]) => value !== 0).map(([name, value]) => named(name, value));
  return parts.join(", ") || none;
}

/** Resources as the master writes them, a text or a list, in a line. */
export function resources(value) {
  const items = typeof value === "string" ? value.split(";").filter(Boolean).map(ofText) : (value ?? []).map(ofItem);
  return items.join(", ") || "nothing";
}

function ofText(text) {
  const match = /^([^:(]+)(\([^)]*\))?(\{[^}]*\})?:(.*)$/.exec(text);
  if (!match) return text;
  const [, name, role, marks, value] = match;
  const number = Number(value);
  const base = value !== "" && Number.isFinite(number) ? named(name, number) : `${label(name)} ${value.replaceAll(",", ", ")}`;
  return base + (role ? ` for ${role.slice(1, -1)}` : "") + (marks ? ` ${marks}` : "");
}

function ofItem(item) {
  const role = item.reservations?.at(-1)?.role;
  const ranges = item.ranges?.range?.map(({ begin, end }) => `${begin}-${end}`).join(", ");
  const value = item.scalar ? named(item.name, item.scalar.value) : `${label(item.name)} ${ranges ?? item.set?.item?.join(", ") ?? ""}`;
  const volume = item.disk?.persistence?.id;
  return value + (role ? ` for ${role}` : "") + (volume ? `, volume ${volume}` : "") + (item.shared ? ", shared" : "");
}

/** A text of the master with the resources in it as people read them. */
export function sentence(text) {
  const list = /\b[a-z_]+(?:\([^)\s]*\))?:[\d.[][^\s;]*(?:;[a-z_]+(?:\([^)\s]*\))?:[\d.[][^\s;]*)*/g;
  return text
    .replace(list, (found) => resources(found))
    .replace(/\b(\d[\d.]*) (cpus|mem|disk|gpus)\b(, of which it has consumed | that are free )(\d+(?:\.\d+)?)/g, (_, value, name, between, part) =>
      `${named(name, Number(value))}${between}${amount(name, Number(part))}`)
    .replace(/\b(\d[\d.]*) (cpus|mem|disk|gpus)\b/g, (_, value, name) => named(name, Number(value)))
    .replace(/\b(share|one) of (\d+(?:\.\d+)?)/g, (_, what, value) => `${what} of ${share(Number(value))}`)
    .replace(/\b(until|was at) (\d+(?:\.\d+)?)/g, (_, word, at) => `${word} ${moment(Number(at))}`);
}

/** A span of seconds: "3.2 s", "5 min", "2 h". */
export function span(seconds) {
  const positive = Math.max(0, seconds);
  if (positive < 10) return `${positive.toFixed(1)} s`;
  if (positive < 120) return `${Math.round(positive)} s`;
  if (positive < 7200) return `${Math.round(positive / 60)} min`;
  return positive < 172800 ? `${Math.round(positive / 3600)} h` : `${Math.round(positive / 86400)} days`;
}

/** When the master started, in seconds since 1970. */
let started = 0;

export const setStart = (seconds) => (started = seconds);

/** The time of day of a moment of the master. */
export const moment = (at) => new Date((started + at) * 1000).toLocaleTimeString("en-GB");

/** The state of a task without its prefix: "running". */
export const state = (text) => text.replace(/^TASK_/, "").replaceAll("_", " ").toLowerCase();
