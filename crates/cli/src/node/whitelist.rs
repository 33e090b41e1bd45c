//! The whitelist: a file of hostnames that the master follows.

use super::NodeError;
use apportion::{Command, Text};
use apportion_http::{Server, ServerError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// The interval at which the file is read.
const INTERVAL: Duration = Duration::from_secs(1);

/// The largest file in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Sets the whitelist of that file now, and again whenever the file changes. While it cannot be read, the last one holds.
pub(super) async fn follow(server: Server, path: PathBuf) -> Result<JoinHandle<()>, NodeError> {
    let mut current = read(&path).map_err(|error| NodeError::File { path: path.clone(), error })?;
    server.command(Command::SetWhitelist(hostnames(&current))).await?;
    Ok(tokio::spawn(async move {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_readable = true;
        loop {
            ticks.tick().await;
            let text = match read(&path) {
                Ok(text) => text,
                Err(error) => {
                    if std::mem::take(&mut is_readable) {
                        tracing::warn!(file = %path.display(), %error, "the whitelist cannot be read: it stays as it is");
                    }
                    continue;
                }
            };
            is_readable = true;
            if text == current {
                continue;
            }
            current = text;
            let hostnames = hostnames(&current);
            tracing::info!(hostnames = hostnames.as_ref().map(Vec::len), "the whitelist has changed");
            match server.command(Command::SetWhitelist(hostnames)).await {
                Ok(()) => {}
                Err(ServerError::Ended) => return,
                Err(error) => tracing::warn!(%error, "the whitelist is not accepted"),
            }
        }
    }))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("expected at most {MAX_BYTES} bytes")));
    }
    Ok(text)
}

/// Reads a hostname from each line. A single `*` stands for all hosts, as if there were no whitelist.
fn hostnames(text: &str) -> Option<Vec<Text>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let hostnames: Vec<Text> = lines.map(Text::from).collect();
    (hostnames.len() != 1 || hostnames[0].as_str() != "*").then_some(hostnames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::{Agent, Framework, Master, Role};
    use apportion_http::{NoAgents, Settings};
    use tokio::time::{Instant, sleep};

    #[test]
    fn a_line_is_a_hostname() {
        assert_eq!(hostnames("a\n\n b \r\n# c\n"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(hostnames(""), Some(Vec::new()), "nobody");
        assert_eq!(hostnames("*\n"), None, "everybody");
    }

    /// Returns whether the whitelist has an agent, as the master explains it.
    async fn is_offered(server: &Server, agent: &'static str) -> bool {
        let explain = move |master: &Master| master.explain(&"f".into(), None, Some(&agent.into()));
        let explanations = server.query(explain).await.unwrap().unwrap();
        explanations[0].reasons.iter().all(|(reason, _)| reason.kind() != "not_whitelisted")
    }

    #[test]
    fn the_file_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whitelist");
        std::fs::write(&path, "a\n").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start(Settings::default(), NoAgents);
            for command in [
                Command::AddFramework(Framework::new("f").role(Role::default())),
                Command::AddAgent(Agent::new("a", "cpus:1;mem:64".parse().unwrap()).hostname("a").into()),
                Command::AddAgent(Agent::new("b", "cpus:1;mem:64".parse().unwrap()).hostname("b").into()),
            ] {
                server.command(command).await.unwrap();
            }
            let missing = follow(server.clone(), folder.path().join("missing")).await.unwrap_err();
            assert!(missing.to_string().contains("missing"), "{missing}");
            let follower = follow(server.clone(), path.clone()).await.unwrap();
            assert!(is_offered(&server, "a").await && !is_offered(&server, "b").await);
            std::fs::remove_file(&path).unwrap(); // for a moment, as when an editor writes it anew
            std::fs::write(&path, "b\nc\n").unwrap();
            let end = Instant::now() + Duration::from_secs(30);
            while is_offered(&server, "a").await || !is_offered(&server, "b").await {
                assert!(Instant::now() < end, "the change is not seen");
                sleep(Duration::from_millis(20)).await;
            }
            follower.abort();
        });
    }
}
