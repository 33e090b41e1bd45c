//! Completions and manual pages.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that goes wrong ends")]

#[allow(dead_code, reason = "other tests use more of it")]
mod running;

use running::said;
use std::process::Command;

fn printed(arguments: &[&str]) -> String {
    let (status, out, error) = said(arguments);
    assert_eq!((status, error.as_str()), (Some(0), ""), "{arguments:?}");
    out
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("apportion");
    std::fs::write(&script, printed(&["completions", "bash"])).unwrap();
    // What bash does at a Tab: it calls the function that `complete` has named, with the words so far.
    let complete = |words: &str| {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             function=$(complete -p apportion | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
             $function apportion \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        Command::new("bash").args(["--norc", "-c", &ask]).output()
    };
    let Ok(output) = complete("apportion mas") else {
        eprintln!("bash is not installed: skipped");
        return;
    };
    let completed = |words| String::from_utf8(complete(words).unwrap().stdout).unwrap().trim().to_owned();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        "master",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(completed("apportion quota se"), "set");
    assert_eq!(completed("apportion master --whi"), "--whitelist");
    assert_eq!(completed("apportion master --role-sorter h"), "hdrf");
}

#[test]
fn each_shell_has_a_script() {
    for (shell, part) in [("zsh", "#compdef apportion"), ("fish", "complete -c apportion"), ("elvish", "apportion")] {
        assert!(printed(&["completions", shell]).contains(part), "{shell}");
    }
    let (status, _, error) = said(&["completions", "csh"]);
    assert!(status == Some(1) && error.contains("bash"), "{error}");
}

#[test]
fn each_command_has_a_manual_page() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH apportion 1") && page.contains("apportion\\-master(1)"), "{page}");
    let page = printed(&["man", "quota", "set"]);
    assert!(page.contains("\\fBapportion quota set\\fR") && page.contains("\\-\\-guarantee"), "{page}");
    assert_eq!(
        said(&["man", "quota", "fly"]),
        (Some(1), String::new(), "there is no command \"quota fly\"\n".to_owned())
    );
    if let Ok(output) = Command::new("man").args(["--version"]).output() {
        assert!(output.status.success());
    }
}
