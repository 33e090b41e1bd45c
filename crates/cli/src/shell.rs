//! Completions for shells, and manual pages, both made from the description of the command line.

use crate::arguments::Arguments;
use apportion_console::{Failure, Stdout};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write as _;

/// The instructions of `completions --help`.
pub(crate) const INSTALLATION: &str = "\
To install it:
  bash  apportion completions bash > ~/.local/share/bash-completion/completions/apportion
  zsh   apportion completions zsh > DIR/_apportion, where DIR is one of $fpath
  fish  apportion completions fish > ~/.config/fish/completions/apportion.fish";

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell, out: &mut Stdout) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "apportion", &mut script);
    Ok(out.write_all(&script)?)
}

/// Prints the manual page of a command, as roff.
pub(crate) fn manual(path: &[String], out: &mut Stdout) -> Result<(), Failure> {
    let mut root = Arguments::command();
    root.build(); // so that a command below has its full name, and the options that it shares
    let mut command = &root;
    for name in path {
        let found = command.find_subcommand(name);
        command = found.ok_or_else(|| Failure::Run(format!("there is no command {:?}", path.join(" "))))?;
    }
    let mut page = Vec::new();
    let source = concat!("apportion ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).render(&mut page)?;
    Ok(out.write_all(&page)?)
}
