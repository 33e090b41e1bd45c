//! Reads flags from the environment and from a file, and writes Mesos' spellings of a flag as the command line has them.

use std::collections::BTreeSet;
use std::ffi::OsString;

/// The prefix of variables of the environment that are flags.
const PREFIX: &str = "APPORTION_";

/// The switches and the flags that a subcommand has, with `-` in their names.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) switches: BTreeSet<String>,
    pub(crate) valued: BTreeSet<String>,
}

impl Known {
    /// Returns whether there is such a flag, whose name may have `_`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.is_switch(name) || self.valued.contains(&dashed(name))
    }

    /// Returns whether there is such a switch, whose name may have `_`.
    pub(crate) fn is_switch(&self, name: &str) -> bool {
        self.switches.contains(&dashed(name))
    }

    /// Returns a flag as it stands on a command line.
    pub(crate) fn argument(&self, name: &str, value: &str) -> OsString {
        let name = dashed(name);
        let value = match value {
            "" | "1" if self.switches.contains(&name) => "true",
            "0" if self.switches.contains(&name) => "false",
            value => value,
        };
        format!("--{name}={value}").into()
    }
}

/// Returns an argument with `-` for each `_` in the name of a flag, and `--no-NAME` of a switch as `--NAME=false`.
pub(crate) fn normal(argument: OsString, known: &Known) -> OsString {
    let Some(flag) = argument.to_str().and_then(|text| text.strip_prefix("--")) else { return argument };
    match flag.split_once('=') {
        Some((name, value)) => known.argument(name, value),
        None => {
            let name = dashed(flag);
            match name.strip_prefix("no-").filter(|switch| known.switches.contains(*switch)) {
                Some(switch) => known.argument(switch, "0"),
                None => format!("--{name}").into(),
            }
        }
    }
}

/// Returns the flags of the environment: `APPORTION_PORT` is `--port`. A variable that names no flag of this subcommand is left
/// out, because it may be meant for another one.
pub(crate) fn of_environment(variables: impl Iterator<Item = (String, String)>, known: &Known) -> Vec<OsString> {
    let flags = variables.filter_map(|(name, value)| {
        let name = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
        known.has(&name).then_some((name, value))
    });
    let mut flags: Vec<(String, String)> = flags.collect();
    flags.sort_unstable();
    flags.into_iter().map(|(name, value)| known.argument(&name, &value)).collect()
}

/// Returns the flags of a file, which has a line `NAME=VALUE` for each. A line that begins with `#` is a comment.
pub(crate) fn of_file(text: &str, known: &Known) -> Vec<OsString> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let flag = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        known.argument(name.trim().trim_start_matches("--"), value.trim())
    };
    lines.map(flag).collect()
}

/// Returns the last value of a flag among normal arguments, if it is given.
pub(crate) fn value<'a>(arguments: &'a [OsString], flag: &str) -> Option<&'a str> {
    let mut arguments = arguments.iter().map(|argument| argument.to_str().unwrap_or_default());
    let mut found = None;
    while let Some(argument) = arguments.next() {
        if argument == flag {
            found = arguments.next();
        } else if let Some(value) = argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            found = Some(value);
        }
    }
    found
}

fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            switches: ["hostname-lookup".to_owned()].into(),
            valued: ["work-dir".to_owned(), "port".to_owned()].into(),
        }
    }

    #[test]
    fn names_may_have_underscores_and_switches_values() {
        for (given, expected) in [
            ("--work_dir=/a_b", "--work-dir=/a_b"),
            ("--work_dir", "--work-dir"),
            ("a_b", "a_b"),
            ("--no-hostname_lookup", "--hostname-lookup=false"),
            ("--hostname_lookup=0", "--hostname-lookup=false"),
            ("--hostname-lookup=true", "--hostname-lookup=true"),
            ("--hostname_lookup", "--hostname-lookup"),
            ("--no-such", "--no-such"),
            ("--hostname-lookup=maybe", "--hostname-lookup=maybe"),
        ] {
            assert_eq!(normal(given.into(), &known()), expected, "{given}");
        }
    }

    #[test]
    fn the_environment_and_a_file_have_flags() {
        let variables =
            [("APPORTION_PORT", "1"), ("APPORTION_HOSTNAME_LOOKUP", "0"), ("PORT", "2"), ("APPORTION_X", "3")];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(of_environment(variables, &known()), ["--hostname-lookup=false", "--port=1"]);
        let file = "# of the master\nport = 5051\n\nhostname_lookup\nwork-dir=/a=b\nwrong=1\n";
        assert_eq!(of_file(file, &known()), ["--port=5051", "--hostname-lookup=true", "--work-dir=/a=b", "--wrong=1"]);
        assert_eq!(value(&["--config".into(), "a".into(), "--config=b".into()], "--config"), Some("b"));
        assert_eq!(value(&["--config-dir=a".into()], "--config"), None);
        assert_eq!(value(&["--port".into()], "--config"), None);
    }
}
