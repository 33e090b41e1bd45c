//! [`Attempt`]: one execution of a health check on a task of this machine.

use super::HOST;
use super::command::of_shell;
use super::process::{Process, Processes, exit_text};
use apportion_marathon::{Probe, Statuses, TaskCommand};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread::Builder;
use std::time::Duration;
use ureq::Agent;

/// The outcome of an attempt: success, or why the task is not healthy; `None` if the attempt has no result.
pub(crate) type Outcome = Option<Result<(), String>>;

/// An attempt under way. Dropping it kills its command.
#[derive(Debug)]
pub(crate) struct Attempt {
    _process: Option<Process>,
}

impl Attempt {
    /// Starts an attempt; `done` is called on another thread. Requests and connections end with the timeout; a command does
    /// not, and has to be dropped.
    pub(crate) fn begin(
        (probe, timeout): (&Probe, Duration),
        (command, sandbox): (&TaskCommand, &Path),
        processes: &Processes,
        done: impl FnOnce(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (port, request) = match probe {
            Probe::Command(script) => {
                let mut command = of_shell(script, command, sandbox);
                command.stdout(Stdio::null()).stderr(Stdio::null());
                let result = |status: ExitStatus| if status.success() { Ok(()) } else { Err(exit_text(status)) };
                let process = processes.start(command, move |status| done(Some(result(status))))?;
                return Ok(Self { _process: Some(process) });
            }
            Probe::Tcp { port } => (port, None),
            Probe::Http { tls: _, path, port, ignore_1xx, statuses } => {
                (port, Some((path.clone(), statuses.clone(), *ignore_1xx)))
            }
        };
        let port = port.of(&command.ports);
        Builder::new().name("health check".to_owned()).spawn(move || {
            done(match (port, request) {
                (None, _) => Some(Err("its port is not on the host".to_owned())),
                (Some(port), None) => Some(connect(port, timeout)),
                (Some(port), Some((path, statuses, ignore_1xx))) => {
                    request_path(port, &path, timeout, (&statuses, ignore_1xx))
                }
            });
        })?;
        Ok(Self { _process: None })
    }
}

fn connect(port: u16, timeout: Duration) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, timeout).map(drop).map_err(|error| error.to_string())
}

fn request_path(port: u16, path: &str, timeout: Duration, (good, ignore_1xx): (&Statuses, bool)) -> Outcome {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None);
    let agent = Agent::new_with_config(config.build());
    match agent.get(format!("http://{HOST}:{port}{path}")).call().map(|response| response.status().as_u16()) {
        Ok(status) if good.contains(status) => Some(Ok(())),
        Ok(100..=199) if ignore_1xx => None,
        Ok(status) => Some(Err(format!("found HTTP status {status}, expected {good}"))),
        Err(error) => Some(Err(error.to_string())),
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

    /// Makes a check on a task that has these ports.
    fn made(probe: &Probe, ports: &[Option<u16>]) -> Outcome {
        let task = Task::new("t", "cpus:1".parse().unwrap());
        let task = task.detail("command", json!({"value": "true"})).detail("ports", json!(ports));
        let command = TaskCommand::from_task(&task).unwrap();
        let (sender, done) = mpsc::channel();
        let folder = std::env::temp_dir();
        let what = (probe, Duration::from_secs(5));
        let attempt = Attempt::begin(what, (&command, &folder), &Processes::default(), move |outcome| {
            sender.send(outcome).unwrap();
        });
        let _attempt = attempt.unwrap();
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
