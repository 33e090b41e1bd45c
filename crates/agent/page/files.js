// Files of sandboxes: folders, and the end of a file as it grows.

import { el, rows, table } from "./dom.js";
import * as format from "./format.js";
import { ask } from "./agent.js";

/** The text that is kept of a file: what is before it can be downloaded. */
const MOST = 256 * 1024;
const PIECE = 64 * 1024;
const PAUSE = 1000;

const size = (bytes) => (bytes < 1024 ? `${format.count(bytes)} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : format.amount("disk", bytes / 1048576));

const target = (name, path) => `#/${name}?path=${encodeURIComponent(path)}`;

const nameOf = (path) => path.split("/").at(-1);

/** The folders above a path, each a link. Those above a sandbox are not shown by the agent. */
function crumbs(path) {
  const root = /^(.*\/runs\/[^/]+)(\/.*)?$/.exec(path);
  if (!root) return el("p", { className: "id" }, path);
  const parts = (root[2] ?? "").split("/").filter(Boolean);
  const links = parts.slice(0, -1).map((part, at) => [" / ", el("a", { href: target("file", `${root[1]}/${parts.slice(0, at + 1).join("/")}`) }, part)]);
  return el("p", { className: "id" }, el("a", { href: target("file", root[1]) }, root[1]), links, parts.length > 0 && ` / ${parts.at(-1)}`);
}

/** A folder. */
export function browser(path) {
  const isFolder = (entry) => entry.mode.startsWith("d");
  const columns = [
    { title: "Name", cell: (entry) => el("a", { href: target(isFolder(entry) ? "file" : "read", entry.path) }, nameOf(entry.path) + (isFolder(entry) ? "/" : "")) },
    { title: "Size", className: "number", cell: (entry) => (isFolder(entry) ? "" : size(entry.size)) },
    { title: "Changed", cell: (entry) => new Date(entry.mtime * 1000).toLocaleString("en-GB") },
    { title: "Mode", cell: (entry) => el("code", {}, entry.mode) },
    { title: "Owner", cell: (entry) => `${entry.uid} ${entry.gid}` },
    { title: "", cell: (entry) => !isFolder(entry) && el("a", { href: `files/download?path=${encodeURIComponent(entry.path)}` }, "download") },
  ];
  const { element, body } = table("Files", columns);
  const note = el("p", { className: "nothing", role: "status" });
  const wide = el("div", { className: "wide" }, element);
  const show = async () => {
    try {
      const entries = await ask(`files/browse?path=${encodeURIComponent(path)}`);
      rows(body, columns, entries, (entry) => entry.path);
      note.textContent = entries.length === 0 ? "The folder is empty." : "";
      wide.hidden = entries.length === 0;
    } catch (error) {
      wide.hidden = true;
      note.textContent = error.message;
    }
  };
  return { element: el("section", { className: "list" }, el("h2", {}, "Files"), crumbs(path), wide, note), show };
}

/** A file, from near its end on, as it grows. */
export function reader(path) {
  const text = el("pre", { className: "log", tabindex: "0", "aria-label": "Text of the file" });
  const note = el("p", { className: "quiet", role: "status" });
  const follows = el("input", { type: "checkbox", checked: true, id: "follow" });
  let [offset, isStopped, timer] = [-1, false, 0];

  async function read() {
    try {
      const end = (await ask(`files/read?path=${encodeURIComponent(path)}&offset=-1`)).offset;
      if (offset < 0) offset = Math.max(0, end - PIECE);
      if (end < offset) [offset, text.textContent] = [0, ""]; // it has begun anew
      while (offset < end && !isStopped) {
        const length = Math.min(PIECE, end - offset);
        const piece = await ask(`files/read?path=${encodeURIComponent(path)}&offset=${offset}&length=${length}`);
        // A character that is cut comes with the next piece; what is no text has the length that was asked for.
        const read = piece.data.includes("\uFFFD") ? length : new TextEncoder().encode(piece.data).length;
        if (read === 0) break;
        offset += read;
        text.textContent = (text.textContent + piece.data).slice(-MOST);
      }
      if (isStopped) return;
      note.textContent = `${size(offset)} read`;
    } catch (error) {
      note.textContent = error.message;
    }
    if (isStopped) return;
    if (follows.checked) text.scrollTop = text.scrollHeight;
    timer = setTimeout(read, PAUSE);
  }

  const download = el("a", { className: "button", href: `files/download?path=${encodeURIComponent(path)}` }, "Download");
  const bar = el("div", { className: "bar-tools" }, el("label", { className: "choice" }, follows, "Follow the end"), download, note);
  read();
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
  };
  return { element: el("section", {}, el("h2", {}, nameOf(path)), crumbs(path), bar, text), show: () => {}, stop };
}
