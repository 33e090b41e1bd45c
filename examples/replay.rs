//! Replays a journal: commands in, effects out, one JSON object a line.
//!
//!     cargo run --release --example replay -- [--strict] FILE        (or `-` for standard input)

use apportion::journal::{MAX_LINE_BYTES, MAX_RESTORE_BYTES, Replay, is_restore};
use apportion_console::{Failure, Stdout};
use clap::Parser;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Replays a journal: commands in, effects out, one JSON object a line.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    /// The journal; `-` for standard input.
    file: PathBuf,
    /// Ends at the first refused command, with status 1.
    #[arg(long)]
    strict: bool,
    /// Refuses a longer line. One that restores a snapshot may have 1 GiB all the same.
    #[arg(long, value_name = "N", default_value_t = MAX_LINE_BYTES)]
    max_line_bytes: usize,
}

const STATUSES: &str = "\
Exit status: 0; 1 when the output cannot be written, and with --strict at a refused command; 2 for wrong arguments or a line
that cannot be read. A closed pipe ends it with 0.";

fn main() -> ExitCode {
    apportion_console::main(run)
}

fn run(arguments: &Arguments, out: &mut Stdout) -> Result<(), Failure> {
    let file = arguments.file.display();
    let mut input = BufReader::new(apportion_console::open(&arguments.file)?);
    let mut output = BufWriter::new(out);
    let mut replay = Replay::new().with_max_line_bytes(arguments.max_line_bytes);
    let mut line = Vec::new();
    loop {
        // A peer that sends line by line waits for the effects of its last line.
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
        let number = replay.line() + 1;
        let at_line = |why: &dyn std::fmt::Display| Failure::input(format!("{file}:{number}: {why}"));
        let is_read = read_line(&mut input, &mut line, arguments.max_line_bytes).map_err(|error| at_line(&error))?;
        if !is_read {
            output.flush()?;
            return Ok(());
        }
        let mut printed = Ok(());
        let print = |effect: &str| {
            if printed.is_ok() {
                printed = writeln!(output, "{effect}");
            }
        };
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let fed = match std::str::from_utf8(&line) {
            Ok(text) => replay.feed(text, print).map_err(|error| error.to_string()),
            Err(_) if line.len() > arguments.max_line_bytes => {
                Err(format!("a line of more than {0} bytes: expected at most {0}", arguments.max_line_bytes))
            }
            Err(_) => Err("found bytes that are no UTF-8, expected text".to_owned()),
        };
        printed?;
        fed.map_err(|error| at_line(&error))?;
        if arguments.strict && replay.refused() > 0 {
            output.flush()?;
            return Err(Failure::Run(format!("{file}:{number}: refused")));
        }
    }
}

/// Reads a line. One that is too long is read no further than shows that it is.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, max_bytes: usize) -> std::io::Result<bool> {
    line.clear();
    let mut read_up_to = |line: &mut Vec<u8>, most: usize| {
        let more = most.saturating_add(1).saturating_sub(line.len());
        input.by_ref().take(more as u64).read_until(b'\n', line)
    };
    let is_read = read_up_to(line, max_bytes)? > 0;
    let begin = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if line.len() > max_bytes && line.last() != Some(&b'\n') && is_restore(begin) {
        read_up_to(line, MAX_RESTORE_BYTES.max(max_bytes))?;
    }
    Ok(is_read)
}
