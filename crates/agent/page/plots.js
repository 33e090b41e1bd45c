// Small plots of what containers use: CPUs and memory over the last minutes, as far as this page was open.

import { el } from "./dom.js";
import * as format from "./format.js";

const POINTS = 90;
const [WIDTH, HEIGHT] = [120, 28];
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...children);
  return element;
}

/** A line of values, the latest at the right, of which `limit` is the top or lies above it. */
function line(values, limit, label, hue) {
  const top = Math.max(limit, ...values, 1e-9);
  const x = (at) => WIDTH - (values.length - 1 - at) * (WIDTH / (POINTS - 1));
  const y = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 2);
  const points = values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const stroke = svg("polyline", { points, fill: "none", stroke: "currentColor", "stroke-width": "1.5" });
  const rule = svg("line", { x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit), stroke: "currentColor", "stroke-dasharray": "2 3", opacity: ".5" });
  const title = svg("title", {}, label);
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": label }, title, rule, stroke);
  return el("div", { className: `meter ${hue}` }, el("span", { className: "meter-text" }, label), plot);
}

/** The figures of all containers over time. */
export class Plots {
  #all = new Map();

  /** Adds the latest figures, and forgets containers that are gone. */
  add(statistics) {
    const seen = new Set();
    for (const { container_id: id, statistics: figures } of statistics) {
      seen.add(id);
      const known = this.#all.get(id) ?? { cpus: [], memory: [], last: undefined };
      const used = (figures.cpus_user_time_secs ?? 0) + (figures.cpus_system_time_secs ?? 0);
      const { last } = known;
      if (last && figures.timestamp > last.at) known.cpus.push(Math.max(0, used - last.used) / (figures.timestamp - last.at));
      if (!last || figures.timestamp > last.at) known.memory.push((figures.mem_rss_bytes ?? 0) / 1048576);
      known.last = { at: figures.timestamp, used, cpus: figures.cpus_limit ?? 0, memory: (figures.mem_limit_bytes ?? 0) / 1048576 };
      [known.cpus, known.memory] = [known.cpus.slice(-POINTS), known.memory.slice(-POINTS)];
      this.#all.set(id, known);
    }
    for (const id of this.#all.keys()) if (!seen.has(id)) this.#all.delete(id);
  }

  /** The plots of a container. */
  of(id) {
    const known = this.#all.get(id);
    if (!known) return el("span", { className: "quiet" }, "not measured");
    const { cpus, memory, last } = known;
    const cpusText = `${(cpus.at(-1) ?? 0).toFixed(2)} of ${format.named("cpus", last.cpus)}`;
    const memoryText = `${format.amount("mem", memory.at(-1) ?? 0)} of ${format.named("mem", last.memory)}`;
    return [line(cpus, last.cpus, cpusText, "hue-0"), line(memory, last.memory, memoryText, "hue-2")];
  }
}
