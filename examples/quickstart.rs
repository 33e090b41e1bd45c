//! The program of the README, with an end as all programs here have it: quiet when its reader has gone.

#[expect(dead_code, unreachable_pub, reason = "it is shown as a whole program, with a `main` of its own")]
#[path = "../docs/quickstart.rs"]
mod quickstart;

fn main() -> std::process::ExitCode {
    apportion_console::example("Two frameworks share two machines.", quickstart::share)
}
