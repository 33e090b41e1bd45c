//! [`Table`]: rows for people, as wide as the terminal.

use comfy_table::{CellAlignment, presets};
use unicode_width::UnicodeWidthStr as _;

/// The columns between two columns of a table.
const GAP: usize = 2;

/// The narrowest that a column is made so that its table fits.
const MIN_WIDTH: usize = 8;

/// The sign for what was left out of a cell.
const ELLIPSIS: char = '…';

/// A kind of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier. In a table that is too wide its middle is left out: ids of one master begin alike and end differently.
    Id,
    /// A number or amount, at the right, always whole.
    Number,
    /// A word of a few letters, always whole.
    Word,
    /// A text of any length. In a table that is too wide its end is left out.
    Text,
}

impl Kind {
    fn can_be_shortened(self) -> bool {
        matches!(self, Self::Id | Self::Text)
    }
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Kind)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table with these heads.
    pub(crate) fn new(columns: impl Into<Vec<(&'static str, Kind)>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, which has a cell for each column. Control characters, which would steer the terminal, are replaced.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| cell.replace(char::is_control, "\u{fffd}"));
        let cells: Vec<String> = cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }).collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the lines of the table, none if it has no rows. With a width, cells are shortened until it fits, as far as
    /// that goes.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let widths = self.widths(width);
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(self.columns.iter().map(|(head, _)| *head));
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).zip(&widths);
            table.add_row(cells.map(|((cell, (_, kind)), width)| shortened(cell, *kind, *width)));
        }
        for (column, (_, kind)) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, 2)); // GAP
            if *kind == Kind::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Returns the width of each column: that of its widest cell, or less.
    fn widths(&self, fitting: Option<usize>) -> Vec<usize> {
        let widest = |(index, (head, _)): (usize, &(&str, Kind))| {
            let cells = self.rows.iter().map(|row| row[index].width());
            cells.max().unwrap_or(0).max(head.width())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(widest).collect();
        let Some(fitting) = fitting else { return widths };
        let mut excess = (widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)).saturating_sub(fitting);
        // The widest column gives way first: mostly one of ids, of which the ends are enough.
        while excess > 0 {
            let columns = self.columns.iter().zip(&mut widths).filter(|((_, kind), _)| kind.can_be_shortened());
            let narrower = columns.filter(|((head, _), width)| **width > head.width().max(MIN_WIDTH));
            let Some((_, width)) = narrower.max_by_key(|(_, width)| **width) else { break };
            *width -= 1;
            excess -= 1;
        }
        widths
    }
}

/// Returns a cell that is no wider than that.
fn shortened(cell: &str, kind: Kind, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = if kind == Kind::Id { kept.div_ceil(2) } else { 0 };
    let mut end = String::new();
    for character in cell.chars().rev() {
        end.insert(0, character);
        if end.width() > tail {
            end.remove(0);
            break;
        }
    }
    let mut start = String::new();
    for character in cell.chars() {
        start.push(character);
        if start.width() > kept - end.width() {
            start.pop();
            break;
        }
    }
    format!("{start}{ELLIPSIS}{end}")
}

/// Returns a number of things: `1 agent`, `3 agents`, `no agents`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    match number {
        0 => format!("no {thing}s"),
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new([("ID", Kind::Id), ("STATE", Kind::Word), ("CPUS", Kind::Number), ("LABELS", Kind::Text)]);
        let uuid = "0a54319a-fc35-4770-86fb-a9716d989f63";
        table.row([format!("{uuid}-S0"), "active".to_owned(), "4".to_owned(), "rack=r1 zone=z1".to_owned()]);
        table.row([format!("{uuid}-S1"), "draining".to_owned(), "12.5".to_owned(), String::new()]);
        table
    }

    #[test]
    fn a_table_that_fits_is_whole() {
        let expected = "\
ID                                       STATE     CPUS  LABELS
0a54319a-fc35-4770-86fb-a9716d989f63-S0  active       4  rack=r1 zone=z1
0a54319a-fc35-4770-86fb-a9716d989f63-S1  draining  12.5  -";
        assert_eq!(table().lines(None).join("\n"), expected);
        assert_eq!(table().lines(Some(80)).join("\n"), expected);
    }

    #[test]
    fn a_table_that_is_too_wide_leaves_out_the_middle_of_ids_and_the_ends_of_texts() {
        let expected = "\
ID                           STATE     CPUS  LABELS
0a54319a-fc35…716d989f63-S0  active       4  rack=r1 zone=z1
0a54319a-fc35…716d989f63-S1  draining  12.5  -";
        assert_eq!(table().lines(Some(60)).join("\n"), expected);
        let expected = "\
ID          STATE     CPUS  LABELS
0a54…63-S0  active       4  rack=r1 z…
0a54…63-S1  draining  12.5  -";
        assert_eq!(table().lines(Some(38)).join("\n"), expected);
        assert_eq!(table().lines(Some(10)), table().lines(Some(34)), "no narrower than that");
    }

    #[test]
    fn what_a_master_tells_does_not_steer_the_terminal() {
        let mut table = Table::new([("NAME", Kind::Text)]);
        table.row(["a\x1b[2J\nb".to_owned()]);
        assert_eq!(table.lines(Some(80)), ["NAME", "a\u{fffd}[2J\u{fffd}b"]);
        assert_eq!(shortened("数据库服务器", Kind::Text, 8), "数据库…");
        assert_eq!(
            (counted(0, "task"), counted(1, "task"), counted(2, "task")),
            ("no tasks".into(), "1 task".into(), "2 tasks".into())
        );
    }
}
