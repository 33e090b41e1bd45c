//! [`Warnings`]: what the documents say that has no effect.

use apportion::Text;
use apportion_marathon::Document;
use indexmap::IndexSet;

/// The most warnings that are shown.
const MAX_SHOWN: usize = 20;

/// Warnings, each once for its key and app.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    keys: IndexSet<(Text, String)>,
    lines: IndexSet<String>,
}

impl Warnings {
    /// Adds the keys of a document that are passed over.
    pub(crate) fn add(&mut self, document: &Document) {
        let of_apps = document.apps.iter().flat_map(|app| &app.passed_over);
        for passed in document.passed_over.iter().chain(of_apps) {
            if self.keys.insert((passed.id.clone(), passed.key.clone())) {
                self.lines.insert(passed.to_string());
            }
        }
    }

    /// Adds a line.
    pub(crate) fn add_line(&mut self, line: String) {
        self.lines.insert(line);
    }

    /// Returns the first lines, and the number of the others.
    pub(crate) fn into_lines(self) -> Vec<String> {
        let more = self.lines.len().saturating_sub(MAX_SHOWN);
        let mut lines: Vec<String> =
            self.lines.into_iter().take(MAX_SHOWN).map(|line| format!("warning: {line}")).collect();
        if more > 0 {
            lines.push(format!("warning: and {more} more"));
        }
        lines
    }
}
