//! Rendler: crawls a site, renders its pages, and draws the graph of both.
//!
//! ```text
//! cargo run --release -p rendler -- SITE [--out FOLDER] [--pages N] [--renders N] [--retries N] [--agents N]
//!     [--browser FILE | --cards]
//! cargo run --release -p rendler -- SITE --master MASTERS [--out FOLDER] [--pages N] [--renders N] [--retries N]
//! ```
//!
//! SITE is a folder of HTML, a page in one, or `http://` on this machine. What comes out is `graph.html`, to open, move
//! and zoom; `graph.dot`, for Graphviz; and the pictures of the pages. Pictures are screenshots where a Chromium is
//! installed, else text cards. Ctrl-C ends what runs and draws what there is; a second one ends at once.

mod connected;
mod crawler;
mod drawing;
mod executor;
mod graph;
mod job;
mod markup;
mod page;
mod painter;
mod renderer;
mod run;
mod scheduler;
mod site;
mod task_threads;
#[cfg(test)]
mod tests;

use apportion_console::{Failure, Stdout, create};
use apportion_http::client::Masters;
use clap::Parser;
use connected::Connected;
use drawing::Drawing;
use graph::{Graph, State};
use indicatif::{ProgressBar, ProgressStyle};
use job::PictureKind;
use painter::Painter;
use run::{Run, Signal};
use scheduler::{Limits, Rendler};
use site::Site;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};

/// Crawls a site, renders its pages, and draws the graph of both.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    /// A folder of HTML, a page in one, or http:// on this machine.
    site: String,
    /// Where to put the drawing, the graph and the pictures.
    #[arg(long, value_name = "FOLDER", default_value = "rendler-out")]
    out: PathBuf,
    /// How many pages to crawl at most, in the order in which they are found.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pages: u32,
    /// How many pages to make pictures of at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    renders: u32,
    /// How often to try again what fails.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// On how many agents, each of 2 cpus and 1024 MB.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    agents: u16,
    /// Runs the tasks on the cluster of these masters, whose agents start this program, from the same folder: host:port, several with
    /// commas between, or file:///path.
    #[arg(long, value_name = "MASTERS", conflicts_with = "agents")]
    master: Option<Masters>,
    /// The Chromium to make screenshots with; unless named, one that is installed.
    #[arg(long, value_name = "FILE", conflicts_with = "cards")]
    browser: Option<PathBuf>,
    /// Makes text cards, even where a Chromium is installed.
    #[arg(long)]
    cards: bool,
    /// Runs as an executor, as an agent starts it.
    #[arg(long, hide = true, conflicts_with = "master")]
    executor: bool,
}

const STATUSES: &str = "\
Exit status: 0; 1 when the first page cannot be had or the output cannot be written; 2 for wrong arguments or input; 130 after
Ctrl-C. A closed pipe ends it with 0.";

fn main() -> ExitCode {
    apportion_console::main(run)
}

fn run(arguments: &Arguments, out: &mut Stdout) -> Result<(), Failure> {
    let site = Arc::new(Site::open(&arguments.site).map_err(|error| Failure::input(error.to_string()))?);
    let browser = browser(arguments)?;
    let pictures = arguments.out.join("pictures");
    fs::create_dir_all(&pictures).map_err(|error| Failure::input(format!("{}: {error}", pictures.display())))?;
    if arguments.executor {
        apportion_console::log_warnings();
        return executor::run(Painter::new(site, pictures, browser));
    }
    let files = ["graph.html", "graph.dot"].map(|name| arguments.out.join(name));
    files.iter().try_for_each(|file| check_writable(file))?;
    let limits =
        Limits { pages: arguments.pages as usize, renders: arguments.renders as usize, retries: arguments.retries };
    let (sender, signals) = mpsc::channel();
    let interrupted = handle_ctrl_c(sender.clone())?;
    let mut transport = match &arguments.master {
        Some(masters) => {
            apportion_console::log_warnings();
            let command = executor::command(&arguments.site, &arguments.out, browser.as_deref())?;
            let rendler = Rendler::new(site.start(), limits).executed_by(command);
            let started = Connected::start(masters.clone(), rendler, signals);
            Transport::Http(Box::new(started.map_err(|error| Failure::input(error.to_string()))?))
        }
        None => {
            let painter = Painter::new(Arc::clone(&site), pictures.clone(), browser);
            let started = Run::start(painter, arguments.agents, limits, (sender, signals));
            Transport::Within(Box::new(started.map_err(|error| Failure::input(error.to_string()))?))
        }
    };
    let bar = bar();
    while transport.step()? {
        update(&bar, transport.rendler(), limits);
    }
    bar.finish_and_clear();

    let rendler = transport.rendler();
    let summary = summary(rendler);
    let drawing = Drawing {
        title: &title(&site, rendler.graph()),
        summary: &summary,
        graph: rendler.graph(),
        start: site.start(),
        pictures: &pictures,
    };
    let texts = [drawing.html().map_err(|error| Failure::Run(error.to_string()))?, rendler.graph().dot().to_string()];
    for (path, text) in files.iter().zip(texts) {
        let mut file = create(path)?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    print_report(rendler, &summary, &arguments.out, out)?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::Interrupted("interrupted; what had been done by then is drawn".to_owned()));
    }
    first_page(&site, rendler.graph())
}

/// How the scheduler reaches a master.
#[derive(Debug)]
enum Transport {
    /// The whole cluster runs within this program.
    Within(Box<Run>),
    /// The cluster runs elsewhere.
    Http(Box<Connected>),
}

impl Transport {
    /// Runs the scheduler for a moment. Returns false once the crawl is done.
    fn step(&mut self) -> Result<bool, Failure> {
        match self {
            Self::Within(run) => Ok(run.step()),
            Self::Http(connected) => connected.step().map_err(|reason| Failure::Run(reason.to_string())),
        }
    }

    fn rendler(&self) -> &Rendler {
        match self {
            Self::Within(run) => run.rendler(),
            Self::Http(connected) => connected.rendler(),
        }
    }
}

/// Returns the browser to use; `None` for text cards.
fn browser(arguments: &Arguments) -> Result<Option<PathBuf>, Failure> {
    match &arguments.browser {
        Some(file) if !file.is_file() => Err(Failure::input(format!("--browser {}: no such file", file.display()))),
        Some(file) => Ok(Some(file.clone())),
        None => Ok(if arguments.cards || arguments.renders == 0 { None } else { painter::installed() }),
    }
}

/// Sends a signal at the first Ctrl-C, and exits at the second. Returns a flag that says whether there was one.
fn handle_ctrl_c(sender: Sender<Signal>) -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let set = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(130);
        }
        let _ = sender.send(Signal::Stop); // the receiver is gone at the end
    });
    set.map_err(|error| Failure::input(format!("Ctrl-C cannot be listened to: {error}")))?;
    Ok(interrupted)
}

/// Returns a progress bar on standard error, which is hidden unless that is a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("this is a template");
    ProgressBar::new(1).with_style(style)
}

fn update(bar: &ProgressBar, rendler: &Rendler, limits: Limits) {
    let ((crawled, found), (rendered, read)) = (rendler.crawls(), rendler.renders());
    bar.set_length((found + read) as u64);
    bar.set_position((crawled + rendered) as u64);
    let retried = match rendler.retried() {
        0 => String::new(),
        times => format!(", {times} tried again"),
    };
    bar.set_message(format!(
        "crawled {crawled} of {found}, rendered {rendered} of at most {}{retried}",
        limits.renders
    ));
}

fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Returns the summary of the crawl, in one line.
fn summary(rendler: &Rendler) -> String {
    let nodes = rendler.graph().nodes().values();
    let states = |wanted: fn(&State) -> bool| nodes.clone().filter(|node| wanted(&node.state)).count();
    let pictures = |kind| nodes.clone().flat_map(|node| &node.picture).filter(|picture| picture.kind == kind).count();
    let mut parts = vec![
        count(states(|state| matches!(state, State::Page(_))), "page"),
        count(rendler.graph().edges().len(), "link"),
    ];
    let mut add = |number: usize, text: String| {
        if number > 0 {
            parts.push(text);
        }
    };
    let files = states(|state| matches!(state, State::File(_)));
    add(files, count(files, "other file"));
    let moved = states(|state| matches!(state, State::Moved));
    add(moved, format!("{moved} moved"));
    let missing = states(|state| matches!(state, State::Missing(_)));
    add(missing, format!("{missing} missing"));
    let failed = states(|state| matches!(state, State::Failed(_)));
    add(failed, format!("{failed} failed"));
    let seen = states(|state| matches!(state, State::Seen));
    add(seen, format!("{seen} not crawled"));
    let (screenshots, cards) = (pictures(PictureKind::Screenshot), pictures(PictureKind::Card));
    add(screenshots, count(screenshots, "screenshot"));
    add(cards, count(cards, "text card"));
    parts.join(", ")
}

/// Returns the title of the drawing: that of the first page, and the site.
fn title(site: &Site, graph: &Graph) -> String {
    match graph.nodes().get(site.start()).map(|node| &node.state) {
        Some(State::Page(Some(title))) => format!("{title} · {site}"),
        _ => site.to_string(),
    }
}

/// Prints the problems, the missing pages with the pages that link to them, and the summary.
fn print_report(rendler: &Rendler, summary: &str, out: &Path, to: &mut Stdout) -> io::Result<()> {
    for note in rendler.notes() {
        writeln!(to, "{note}")?;
    }
    let graph = rendler.graph();
    for (page, node) in graph.nodes() {
        if let State::Missing(_) | State::Failed(_) = &node.state {
            let from: Vec<&str> = graph.linked_from(page).collect();
            let from = if from.is_empty() { String::new() } else { format!("; linked from {}", from.join(", ")) };
            writeln!(to, "{page}: {}{from}", node.caption())?;
        }
    }
    let (offers, tasks) = rendler.offers_and_tasks();
    writeln!(to, "{} for {}", count(offers, "offer"), count(tasks, "task"))?;
    if rendler.retried() > 0 {
        writeln!(to, "tried again: {}", count(rendler.retried(), "time"))?;
    }
    if graph.nodes().values().flat_map(|node| &node.picture).any(|picture| picture.kind == PictureKind::Card) {
        writeln!(to, "the pictures are text cards: no browser was found or wanted")?;
    }
    writeln!(to, "{summary}")?;
    writeln!(to, "{}\n{}", out.join("graph.html").display(), out.join("graph.dot").display())?;
    to.flush()
}

/// Fails if the first page could not be fetched.
fn first_page(site: &Site, graph: &Graph) -> Result<(), Failure> {
    match graph.nodes().get(site.start()).map(|node| &node.state) {
        Some(State::Missing(why) | State::Failed(why)) => Err(Failure::Run(format!("{site}: {why}"))),
        _ => Ok(()),
    }
}

/// Fails if a file cannot be written, before there is anything to write. What is in it stays for now.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}
