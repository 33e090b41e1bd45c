//! Reads the trace: nodes and pods as CSV, and orders of arrival.

use apportion::Scalar;
use apportion::packing::{DeviceDemand, DeviceRequest, Machine};
use csv::StringRecord;
use std::io::Read;
use std::path::Path;

/// A machine of the trace.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) machine: Machine,
}

/// A task of the trace.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) demand: DeviceDemand,
}

/// The order in which pods arrive, and the tie-break among equal nodes.
#[derive(Debug)]
pub(crate) struct Order {
    /// The pods, by their row in the list, from 0.
    pub(crate) arrivals: Vec<usize>,
    /// The rank of each node, with the nodes in order of their names.
    pub(crate) ranks: Vec<usize>,
}

/// The largest number in a column, so that sums over any list stay exact.
const MOST: u64 = 1_000_000_000_000;

/// The longest order: a million pods on a million nodes.
const MAX_ORDER_BYTES: usize = 16 << 20;

/// Reads a list of nodes: sn, cpu_milli, memory_mib, gpu, model.
pub(crate) fn nodes(path: &Path) -> Result<Vec<Node>, String> {
    Table::open(path)?.rows(|row| {
        let devices =
            u32::try_from(row.number("gpu", DeviceRequest::MAX_DEVICES.into())?).expect("no more than MAX_DEVICES");
        let (cpus, mem) =
            (Scalar::milli(row.number("cpu_milli", MOST)?), Scalar::units(row.number("memory_mib", MOST)?));
        let machine = Machine::new(cpus, mem, devices);
        let machine = match row.text("model")? {
            "" => machine,
            model => machine.model(model),
        };
        Ok(Node { name: row.text("sn")?.to_owned(), machine })
    })
}

/// Reads a list of pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, and gpu_spec where there is one.
pub(crate) fn pods(path: &Path) -> Result<Vec<Pod>, String> {
    Table::open(path)?.rows(|row| {
        let (count, each) = (row.number("num_gpu", MOST)?, row.number("gpu_milli", MOST)?);
        let devices = DeviceRequest::new(count, each).map_err(|error| row.wrong("num_gpu and gpu_milli", &error))?;
        let (cpus, mem) =
            (Scalar::milli(row.number("cpu_milli", MOST)?), Scalar::units(row.number("memory_mib", MOST)?));
        let models = row.optional("gpu_spec").split('|').filter(|model| !model.is_empty());
        let demand = models.fold(DeviceDemand::new(cpus, mem).devices(devices), DeviceDemand::model);
        Ok(Pod { name: row.text("name")?.to_owned(), demand })
    })
}

/// Reads an order: one line with the rows of the pods as they come, one with the ranks of the nodes by name.
pub(crate) fn order(path: &Path, nodes: usize, pods: usize) -> Result<Order, String> {
    let file = path.display();
    let text = apportion_console::read(path, MAX_ORDER_BYTES).map_err(|failure| failure.to_string())?;
    let text = String::from_utf8(text).map_err(|_| format!("{file}: found bytes that are no UTF-8, expected text"))?;
    let mut lines = text.lines();
    let mut numbers = |line: usize, what: &str, below: usize| {
        let expected = format!("expected {what}, 0 to {}", below.saturating_sub(1));
        let words = lines.next().ok_or_else(|| format!("{file}:{line}: there is no such line: {expected}"))?;
        let number = |(place, word): (usize, &str)| {
            let number = word.parse().ok().filter(|number| *number < below);
            number.ok_or_else(|| format!("{file}:{line}: number {} is {word:?}: {expected}", place + 1))
        };
        words.split_whitespace().enumerate().map(number).collect::<Result<Vec<usize>, String>>()
    };
    let arrivals = numbers(1, "rows of the list of pods", pods)?;
    let ranks = numbers(2, "a rank for each node", nodes)?;
    if ranks.len() != nodes {
        return Err(format!("{file}:2: {} ranks: expected one for each of {nodes} nodes", ranks.len()));
    }
    let mut owners = vec![None; nodes];
    for (node, rank) in ranks.iter().enumerate() {
        if let Some(other) = owners[*rank].replace(node) {
            return Err(format!(
                "{file}:2: rank {rank} twice, as number {} and {}: expected each once",
                other + 1,
                node + 1
            ));
        }
    }
    Ok(Order { arrivals, ranks })
}

/// A CSV file with a header.
struct Table<'a> {
    path: &'a Path,
    reader: csv::Reader<Box<dyn Read>>,
    head: StringRecord,
}

/// A row of a CSV file.
struct Row<'a> {
    path: &'a Path,
    head: &'a StringRecord,
    record: &'a StringRecord,
}

impl<'a> Table<'a> {
    fn open(path: &'a Path) -> Result<Self, String> {
        let file = apportion_console::open(path).map_err(|failure| failure.to_string())?;
        let mut reader = csv::Reader::from_reader(file);
        let head = reader.headers().map_err(|error| wrong_csv(path, &error))?.clone();
        Ok(Self { path, reader, head })
    }

    fn rows<T>(mut self, read: impl Fn(&Row<'_>) -> Result<T, String>) -> Result<Vec<T>, String> {
        let (mut all, mut record) = (Vec::new(), StringRecord::new());
        let (path, head) = (self.path, &self.head);
        while self.reader.read_record(&mut record).map_err(|error| wrong_csv(path, &error))? {
            all.push(read(&Row { path, head, record: &record })?);
        }
        if all.is_empty() {
            Err(format!("{}: no rows: expected at least one below the head", path.display()))
        } else {
            Ok(all)
        }
    }
}

/// Returns the message for text that is no CSV.
fn wrong_csv(path: &Path, error: &csv::Error) -> String {
    match (error.kind(), error.position()) {
        (csv::ErrorKind::Utf8 { .. }, Some(position)) => {
            format!("{}:{}: found bytes that are no UTF-8, expected text", path.display(), position.line())
        }
        _ => format!("{}: {error}", path.display()),
    }
}

impl Row<'_> {
    fn text(&self, column: &str) -> Result<&str, String> {
        let place = self.head.iter().position(|name| name == column);
        let found = || {
            format!(
                "{}:1: no column {column}, only {}",
                self.path.display(),
                self.head.iter().collect::<Vec<_>>().join(", ")
            )
        };
        Ok(self.record.get(place.ok_or_else(found)?).unwrap_or_default())
    }

    fn optional(&self, column: &str) -> &str {
        self.text(column).unwrap_or_default()
    }

    fn number(&self, column: &str, most: u64) -> Result<u64, String> {
        let text = self.text(column)?;
        let number = text.parse().ok().filter(|number| *number <= most);
        number.ok_or_else(|| self.wrong(column, &format!("{text:?}: expected a whole number, 0 to {most}")))
    }

    fn wrong(&self, column: &str, why: &dyn std::fmt::Display) -> String {
        let line = self.record.position().map_or(0, csv::Position::line);
        format!("{}:{line}: {column}: {why}", self.path.display())
    }
}
