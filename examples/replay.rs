//! Replays a journal: commands in, effects out, one JSON object a line.
//!
//! `cargo run --release --example replay -- [--strict] FILE` (or `-` for standard input). With `--strict` the first refused
//! command ends the run, with status 1.
#![expect(clippy::print_stderr, reason = "a program tells its user what is wrong")]

use apportion::journal::{MAX_LINE_BYTES, Replay};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let strict = arguments.iter().any(|argument| argument == "--strict");
    arguments.retain(|argument| argument != "--strict");
    let [file] = arguments.as_slice() else {
        eprintln!("expected [--strict] and one argument: the journal FILE, or - for standard input");
        return ExitCode::from(2);
    };
    match replay(file, strict) {
        Ok(status) => status,
        // The reader of our output has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn replay(file: &str, strict: bool) -> io::Result<ExitCode> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{file}: {error}"));
    let input: Box<dyn Read> = match file {
        "-" => Box::new(io::stdin()),
        _ => Box::new(File::open(file).map_err(named)?),
    };
    let mut input = BufReader::new(input);
    let mut output = BufWriter::new(io::stdout().lock());
    let mut replay = Replay::new();
    let mut line = Vec::new();
    loop {
        // A peer that sends line by line waits for the effects of its last line.
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
        line.clear();
        // One byte more than the longest line: what is too long need not be read to its end.
        if input.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line).map_err(named)? == 0 {
            output.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut printed = Ok(());
        let print = |effect: &str| {
            if printed.is_ok() {
                printed = writeln!(output, "{effect}");
            }
        };
        let number = replay.line() + 1;
        let fed = match std::str::from_utf8(&line) {
            Ok(text) => replay.feed(text, print).map_err(|error| error.to_string()),
            Err(error) => Err(format!("not UTF-8: {error}")),
        };
        printed?;
        if let Err(error) = fed {
            output.flush()?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{file}:{number}: {error}")));
        }
        if strict && replay.refused() > 0 {
            output.flush()?;
            eprintln!("{file}:{number}: refused");
            return Ok(ExitCode::FAILURE);
        }
    }
}
