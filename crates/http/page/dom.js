// Elements from values. Texts are only ever text: ids come from frameworks, which may be hostile.

import { count } from "./format.js";

/** Makes an element; properties whose names have a dash or are roles are attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") Object.entries(value).forEach(([event, listener]) => element.addEventListener(event, listener));
    else if (name in element && !name.includes("-") && name !== "role" && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** Replaces the children of an element, unless they would look the same: what has the focus keeps it. */
export function fill(element, ...children) {
  const made = el("div", {}, ...children);
  const isSame = made.childNodes.length === element.childNodes.length && [...made.childNodes].every((node, at) => node.isEqualNode(element.childNodes[at]));
  if (!isSame) element.replaceChildren(...made.childNodes);
}

/** Updates the rows of a table body by their keys: a row that stays is the same element, and keeps the focus. */
export function rows(body, columns, items, keyOf) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    let row = known.get(key);
    if (!row) {
      row = el("tr", { role: "row" }, columns.map((column) => el("td", { role: "cell", "data-label": column.title, className: column.className ?? "" })));
      row.dataset.key = key;
    }
    columns.forEach((column, at) => fill(row.children[at], column.cell(item)));
    return row;
  });
  wanted.forEach((row, at) => {
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
  });
  while (body.children.length > wanted.length) body.lastElementChild.remove();
}

/** A table with a caption for those who do not see it. */
export function table(caption, columns) {
  const body = el("tbody", { role: "rowgroup" });
  const heads = columns.map((column) => el("th", { scope: "col", role: "columnheader", className: column.className ?? "" }, column.title));
  const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads));
  return { element: el("table", { role: "table" }, el("caption", { className: "unseen" }, caption), head, body), body };
}

/** A list of a master in pages of a hundred, with a search: `load` is asked for a page, and told what is searched for. */
export function list({ noun, columns, keyOf, load, className, searchable = true }) {
  const LIMIT = 100;
  let [offset, total, pending] = [0, 0, 0];
  const { element, body } = table(noun, columns);
  const search = el("input", { type: "search", placeholder: `Search ${noun}`, "aria-label": `Search ${noun}`, autocomplete: "off", spellcheck: false });
  const range = el("span", { role: "status", className: "quiet" });
  const step = (by) => () => {
    offset = Math.max(0, Math.min(offset + by, Math.floor(Math.max(0, total - 1) / LIMIT) * LIMIT));
    return refresh();
  };
  const before = el("button", { type: "button", on: { click: step(-LIMIT) } }, "Previous");
  const after = el("button", { type: "button", on: { click: step(LIMIT) } }, "Next");
  const nothing = el("p", { className: "nothing", hidden: true });
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      offset = 0;
      refresh();
    }, 200);
  });

  async function refresh() {
    const asked = ++pending;
    const answer = await load({ search: search.value.trim(), offset, limit: LIMIT });
    if (asked !== pending || !answer) return; // a later question is on its way, or the master does not answer
    total = answer.total;
    if (offset > 0 && offset >= total) {
      offset = 0;
      return refresh();
    }
    rows(body, columns, answer.items, keyOf);
    wide.hidden = answer.items.length === 0;
    nothing.hidden = answer.items.length > 0;
    nothing.textContent = search.value.trim() ? `No ${noun} found for “${search.value.trim()}”.` : `No ${noun}.`;
    const last = offset + answer.items.length;
    range.textContent = total > LIMIT ? `${count(offset + 1)}–${count(last)} of ${count(total)}` : `${count(total)} in all`;
    [before.disabled, after.disabled] = [offset === 0, last >= total];
    [before.hidden, after.hidden] = [total <= LIMIT, total <= LIMIT];
  }

  const wide = el("div", { className: "wide" }, element);
  const bar = el("div", { className: "bar-tools" }, searchable && search, range, before, after);
  return { element: el("div", { className: `list ${className ?? ""}` }, bar, wide, nothing), refresh };
}
