//! [`Log`]: a line for each event, for people.

use crate::exec::Line;
use anstyle::{AnsiColor, Style};
use apportion::placement::{HostPort, Launch};
use apportion::{Effect, Offer, Quantities, TaskId, TaskStatus, Time};
use apportion_marathon::{Marathon, Notice};
use std::io::{self, Write};
use std::path::Path;

/// The most lines shown of many alike.
pub(crate) const MAX_SHOWN: usize = 12;

pub(crate) const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();

/// The width of the time and the kind of an event, which begin its line.
const INDENT: usize = 20;

/// Writes a line for each event. Offers that are made at one time are summed up.
pub(crate) struct Log<W> {
    out: W,
    /// The columns there are, if lines may not be longer.
    columns: Option<usize>,
    /// Each offer has a line.
    verbose: bool,
    /// The offers since the last other event.
    offers: Vec<(Time, Offer)>,
}

impl<W: Write> Log<W> {
    pub(crate) fn new(out: W, columns: Option<usize>, verbose: bool) -> Self {
        Self { out, columns, verbose, offers: Vec::new() }
    }

    /// Returns the columns there are, if lines may not be longer.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Ends the output.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.out.flush()
    }

    /// Writes the heading of a step.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.flush()?;
        self.styled(BOLD, "", text, 4)
    }

    /// Writes a line with a name in a style and text after it. If it is too long for the columns, it goes on in lines that are
    /// indented so far; no word is broken.
    pub(crate) fn styled(&mut self, style: Style, name: &str, text: &str, indent: usize) -> io::Result<()> {
        let lines = match self.columns {
            None => vec![format!("{name}{text}")],
            Some(columns) => wrapped(&format!("{name}{text}"), columns, indent),
        };
        for (number, line) in lines.iter().enumerate() {
            match (number, line.strip_prefix(name)) {
                (0, Some(rest)) if !name.is_empty() => writeln!(self.out, "{style}{name}{style:#}{rest}")?,
                _ if name.is_empty() => writeln!(self.out, "{style}{line}{style:#}")?,
                _ => writeln!(self.out, "{line}")?,
            }
        }
        Ok(())
    }

    /// Writes text that is cut into lines already.
    pub(crate) fn cut(&mut self, style: Style, text: &str) -> io::Result<()> {
        writeln!(self.out, "{style}{text}{style:#}")
    }

    /// Writes plain text.
    pub(crate) fn plain(&mut self, text: &str, indent: usize) -> io::Result<()> {
        self.styled(Style::new(), "", text, indent)
    }

    /// Writes an empty line.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        self.flush()?;
        writeln!(self.out)
    }

    /// Writes an effect of the master.
    pub(crate) fn effect(&mut self, at: Time, effect: &Effect, marathon: &Marathon) -> io::Result<()> {
        if let Effect::Offer(offer) = effect {
            self.offers.push((at, offer.clone()));
            return Ok(());
        }
        self.flush()?;
        match effect {
            Effect::Launch { agent, task, .. } => {
                let place = format!("{} on {agent}{}", task.id, rack(marathon, &task.id));
                let amounts = task.resources.filter(|resource| resource.name() != "ports");
                let text = format!("{place}  {amounts}{}", ports_of(marathon, &task.id));
                self.line(at, GOOD, "launch", &text)
            }
            Effect::Status { status, .. } => {
                let style = if status.state.is_terminal() { BAD } else { GOOD };
                self.line(at, style, "status", &status_text(status))
            }
            Effect::Kill { agent, task, .. } => self.line(at, BAD, "kill", &format!("{task} on {agent}")),
            Effect::Rescind { offer, .. } => self.line(at, DIM, "rescind", offer.as_str()),
            Effect::OperationFailed { operation, error, .. } => {
                self.line(at, BAD, "refused", &format!("{operation}: {error}"))
            }
            // There is no maintenance here, nor anything else that concerns this framework.
            Effect::Offer(_) | Effect::InverseOffer(_) | Effect::RescindInverseOffer { .. } | _ => Ok(()),
        }
    }

    /// Writes a notice of the framework.
    pub(crate) fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.flush()?;
        self.line(notice.at, if notice.topic == "deploy" { BOLD } else { BAD }, notice.topic, &notice.text)
    }

    /// Writes a line of the output of a task.
    pub(crate) fn output(&mut self, line: &Line) -> io::Result<()> {
        self.flush()?;
        let style = if line.is_error { BAD } else { Style::new() };
        writeln!(self.out, "{style}{}{style:#} | {}", line.task, line.text)
    }

    /// Writes that a file was written.
    pub(crate) fn file(&mut self, at: Time, what: &str, file: &Path) -> io::Result<()> {
        self.flush()?;
        self.line(at, DIM, what, &format!("{} is written", file.display()))
    }

    /// Writes the collected offers.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let offers = std::mem::take(&mut self.offers);
        for together in offers.chunk_by(|(before, _), (after, _)| before == after) {
            match together {
                [(at, _), _, ..] if !self.verbose => self.line(*at, DIM, "offer", &sum(together))?,
                _ => together.iter().try_for_each(|(at, offer)| self.line(*at, DIM, "offer", &one(offer)))?,
            }
        }
        Ok(())
    }

    fn line(&mut self, at: Time, style: Style, what: &str, text: &str) -> io::Result<()> {
        let lines = self.columns.map(|columns| wrapped(&format!("{:INDENT$}{text}", ""), columns, INDENT));
        let text = lines.map_or_else(|| text.to_owned(), |lines| lines.join("\n").trim_start().to_owned());
        writeln!(self.out, "{:>9}  {style}{what:<7}{style:#}  {text}", seconds(at))
    }
}

/// Returns a time in the one form that it has in lines for people.
pub(crate) fn seconds(at: Time) -> String {
    format!("{:.1}s", at.as_secs_f64())
}

/// Cuts text between its words into lines of at most that many columns, as far as words allow; all but the first are
/// indented.
fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let blank = " ".repeat(indent);
    let options = textwrap::Options::new(columns)
        .subsequent_indent(&blank)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// Returns an offer in full.
fn one(offer: &Offer) -> String {
    let attributes = if offer.attributes.is_empty() { String::new() } else { format!("  {}", offer.attributes) };
    format!("{} of {}  {}{attributes}", offer.id, offer.agent, offer.resources)
}

/// Returns the number of offers and what they have together: `6 offers: 36 cpus, 137511 mem, 6006 ports`.
fn sum(offers: &[(Time, Offer)]) -> String {
    let (mut amounts, mut ports) = (Quantities::default(), 0);
    for (_, offer) in offers {
        amounts.extend(offer.resources.quantities().iter());
        ports += offer.resources.ranges("ports").count();
    }
    let amounts = amounts.iter().map(|(name, amount)| format!("{amount} {name}"));
    let ports = (ports > 0).then(|| format!("{ports} ports"));
    format!("{} offers: {}", offers.len(), amounts.chain(ports).collect::<Vec<_>>().join(", "))
}

fn status_text(status: &TaskStatus) -> String {
    let health = match status.healthy {
        Some(true) => " healthy",
        Some(false) => " unhealthy",
        None => "",
    };
    let why = status.message.as_deref().or_else(|| status.reason.as_deref().filter(|_| status.healthy.is_none()));
    format!("{} {}{health}{}", status.task, status.state, why.map(|why| format!(" ({why})")).unwrap_or_default())
}

fn rack(marathon: &Marathon, task: &TaskId) -> String {
    let rack = marathon.task(task).and_then(|task| task.launch.location.attributes.first("rack"));
    rack.map(|rack| format!(" ({rack})")).unwrap_or_default()
}

fn ports_of(marathon: &Marathon, task: &TaskId) -> String {
    let task = marathon.task(task).filter(|task| !task.launch.ports.is_empty());
    task.map(|task| format!("  ports {}", ports(&task.launch))).unwrap_or_default()
}

/// Returns the host ports of a task, each with its container port if that differs: `31000->80`.
pub(crate) fn ports(launch: &Launch) -> String {
    let port = |(i, host): (usize, &Option<u64>)| {
        let request = launch.requests.get(i);
        let inner = request.map(|request| u64::from(request.number)).filter(|number| *number != 0);
        match (host, inner) {
            (Some(host), Some(inner)) if *host != inner => format!("{host}->{inner}"),
            (Some(host), _) => host.to_string(),
            (None, inner) if request.is_some_and(|request| request.host == HostPort::None) => {
                inner.map_or_else(|| "-".to_owned(), |inner| format!("-->{inner}"))
            }
            (None, _) => "-".to_owned(),
        }
    };
    launch.ports.iter().enumerate().map(port).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(columns: Option<usize>, write: impl Fn(&mut Log<Vec<u8>>)) -> String {
        let mut log = Log::new(Vec::new(), columns, false);
        write(&mut log);
        log.finish().unwrap();
        anstream::adapter::strip_bytes(&log.out).into_vec().try_into().unwrap_or_else(|_| panic!("text"))
    }

    #[test]
    fn long_lines_go_on_indented_and_no_word_is_broken() {
        let id = "a-very-long-name.of-a-task-that-is-longer-than-the-line.1";
        let write = |log: &mut Log<Vec<u8>>| {
            log.line(Time::from_millis(61_250), BAD, "status", &format!("{id} TASK_FAILED (it was so)")).unwrap();
            log.styled(BAD, "/a", ": 1 of 2 could not be placed", 2).unwrap();
        };
        let expected = format!("    61.2s  status   {id} TASK_FAILED (it was so)\n/a: 1 of 2 could not be placed\n");
        assert_eq!(written(None, write), expected);
        let narrow = written(Some(40), write);
        for line in narrow.lines().filter(|line| !line.contains(id)) {
            assert!(line.chars().count() <= 40, "{line}");
        }
        assert!(narrow.contains(id) && narrow.contains(&format!("\n{:20}TASK_FAILED (it was\n", "")), "{narrow}");
        assert_eq!(narrow.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn offers_of_one_moment_are_summed_up() {
        let offer = |id: &str, cpus: u32| {
            let resources = format!("cpus:{cpus}.5;mem:10;ports:[1-10]").parse().unwrap();
            Offer::new(id, "f", apportion::Role::default(), "a", resources)
        };
        let told = written(None, |log| {
            log.offers =
                vec![(Time::ZERO, offer("O1", 1)), (Time::ZERO, offer("O2", 2)), (Time::from_secs(1), offer("O3", 1))];
            log.flush().unwrap();
        });
        assert!(told.contains("offer    2 offers: 4 cpus, 20 mem, 20 ports\n"), "{told}");
        assert!(told.contains("offer    O3 of a  cpus:1.5;mem:10;ports:[1-10]\n"), "{told}");
    }
}
