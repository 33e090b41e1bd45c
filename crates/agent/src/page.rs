//! The page for people at `/`: executors, tasks, files of sandboxes with a live tail, and the use of resources.

use apportion_http::page::File;

static FILES: [File; 5] = [
    File::page(include_str!("../page/index.html")),
    File::style("page/agent.css", include_str!("../page/agent.css")),
    File::script("page/agent.js", include_str!("../page/agent.js")),
    File::script("page/files.js", include_str!("../page/files.js")),
    File::script("page/plots.js", include_str!("../page/plots.js")),
];

/// What it has from the master's page: its style, its icon, and how things are shown.
const SHARED: [&str; 4] = ["page/style.css", "page/icon.svg", "page/dom.js", "page/format.js"];

/// Returns the file of that path, without a slash in front.
pub(crate) fn at(path: &str) -> Option<&'static File> {
    let own = FILES.iter().find(|file| file.path() == path);
    own.or_else(|| SHARED.contains(&path).then(|| File::at(path)).flatten())
}
