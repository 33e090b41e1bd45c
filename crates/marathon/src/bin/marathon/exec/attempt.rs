//! Health checks of a task of this machine: what is to be asked, and what an answer means.

use super::command::of_shell;
use super::process::{Attempt, Processes};
use apportion_exec::check::{self, Outcome};
use apportion_marathon::{Probe, Statuses, TaskCommand};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The result of a check: success, or why the task is not healthy; `None` if there is none.
pub(crate) type Verdict = Option<Result<(), String>>;

/// Starts a check of a task; `done` is called on another thread, when the time is over at the latest.
pub(crate) fn begin(
    (probe, timeout): (&Probe, Duration),
    (command, sandbox): (&TaskCommand, &Path),
    processes: &Processes,
    done: impl FnOnce(Verdict) + Send + 'static,
) -> io::Result<Attempt> {
    let no_port = || io::Error::other("its port is not on the host");
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (asked, judge): (_, Box<dyn FnOnce(Outcome) -> Verdict + Send>) = match probe {
        Probe::Command(script) => {
            let builder = of_shell(script, command, sandbox);
            (check::Probe::Command(Box::new(builder)), Box::new(|outcome| Some(outcome.judge())))
        }
        Probe::Tcp { port } => {
            let port = port.of(&command.ports).ok_or_else(no_port)?;
            (check::Probe::Tcp(address(port)), Box::new(|outcome| Some(outcome.judge())))
        }
        Probe::Http { tls: _, path, port, ignore_1xx, statuses } => {
            let port = port.of(&command.ports).ok_or_else(no_port)?;
            let (statuses, ignore_1xx) = (statuses.clone(), *ignore_1xx);
            let asked = check::Probe::Http { address: address(port), path: path.clone(), redirects: 0 };
            (asked, Box::new(move |outcome| judge_answer(&outcome, &statuses, ignore_1xx)))
        }
    };
    processes.check((asked, timeout), move |outcome| done(judge(outcome)))
}

fn judge_answer(outcome: &Outcome, good: &Statuses, ignore_1xx: bool) -> Verdict {
    let Outcome::Http(status) = *outcome else { return Some(outcome.judge()) };
    match status {
        status if good.contains(status) => Some(Ok(())),
        100..=199 if ignore_1xx => None,
        status => Some(Err(format!("found HTTP status {status}, expected {good}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::Task;
    use apportion_marathon::PortRef;
    use serde_json::json;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread::Builder;

    /// Makes a check on a task that has these ports.
    fn made(probe: &Probe, ports: &[Option<u16>]) -> Verdict {
        let task = Task::new("t", "cpus:1".parse().unwrap());
        let task = task.detail("command", json!({"value": "true"})).detail("ports", json!(ports));
        let command = TaskCommand::from_task(&task).unwrap();
        let (sender, done) = mpsc::channel();
        let folder = std::env::temp_dir();
        let what = (probe, Duration::from_secs(5));
        let attempt = begin(what, (&command, &folder), &Processes::default(), move |verdict| {
            sender.send(verdict).unwrap();
        });
        let _attempt = match attempt {
            Ok(attempt) => attempt,
            Err(error) => return Some(Err(error.to_string())),
        };
        done.recv().unwrap()
    }

    /// Answers one request with that status line, and says what was asked for.
    fn server(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (port, serve.unwrap())
    }

    /// Returns a port on which nobody listens: no other test is given one below 1024.
    const fn silent() -> u16 {
        1
    }

    #[test]
    fn http_is_healthy_from_200_to_399() {
        let http = |ignore_1xx| {
            let (path, port) = ("/up?x".to_owned(), PortRef::Index(1));
            Probe::Http { tls: false, path, port, ignore_1xx, statuses: Statuses::Success }
        };
        let cases = [
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(Ok(()))),
            ("HTTP/1.1 302 Found\r\nlocation: /nowhere\r\ncontent-length: 0\r\n\r\n", Some(Ok(()))),
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
                Some(Err("found HTTP status 404, expected one from 200 to 399")),
            ),
            (
                "HTTP/1.1 500 Internal\r\ncontent-length: 0\r\n\r\n",
                Some(Err("found HTTP status 500, expected one from 200 to 399")),
            ),
        ];
        for (answer, outcome) in cases {
            let (port, serve) = server(answer);
            let expected = outcome.map(|result| result.map_err(str::to_owned));
            assert_eq!(made(&http(false), &[None, Some(port)]), expected, "{answer}");
            assert!(serve.join().unwrap().starts_with("GET /up?x HTTP/1.1\r\n"));
        }
        for ignored in [false, true] {
            let (port, serve) = server("HTTP/1.1 101 Switching\r\n\r\n");
            assert_eq!(made(&http(ignored), &[None, Some(port)]).is_none(), ignored);
            serve.join().unwrap();
        }
        assert!(made(&http(false), &[None, Some(silent())]).unwrap().unwrap_err().contains("refused"));
        assert_eq!(made(&http(false), &[None, None]), Some(Err("its port is not on the host".to_owned())));
    }

    #[test]
    fn tcp_is_healthy_if_somebody_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(made(&Probe::Tcp { port: PortRef::Number(port) }, &[]), Some(Ok(())));
        assert!(made(&Probe::Tcp { port: PortRef::Number(silent()) }, &[]).unwrap().unwrap_err().contains("refused"));
    }

    #[test]
    fn a_command_is_healthy_if_it_ends_with_0() {
        let command = |script: &str| Probe::Command(script.to_owned());
        assert_eq!(made(&command("test $MESOS_SANDBOX = $PWD"), &[]), Some(Ok(())));
        assert_eq!(made(&command("exit 2"), &[]), Some(Err("exited with status 2".to_owned())));
    }
}
