//! The program as an agent starts it: an executor of either kind.

use crate::painter::Painter;
use crate::run::executor_of;
use apportion::ExecutorInfo;
use apportion::v1::connection::StopReason;
use apportion_console::Failure;
use apportion_http::client::ExecutorClient;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// The flag that makes the program an executor.
pub(crate) const FLAG: &str = "--executor";

/// Returns the description of an executor that an agent starts with this command, argument by argument.
pub(crate) fn info(id: &str, command: Option<&[String]>) -> ExecutorInfo {
    let info = ExecutorInfo::new(id);
    match command {
        Some(command) => {
            info.detail("command", json!({"shell": false, "value": command.first(), "arguments": command}))
        }
        None => info,
    }
}

/// Returns the command by which an agent on this machine starts the program as an executor.
pub(crate) fn command(site: &str, out: &Path, browser: Option<&Path>) -> Result<Vec<String>, Failure> {
    let absolute = |path: &Path| match std::path::absolute(path) {
        Ok(path) => Ok(path.display().to_string()),
        Err(error) => Err(Failure::input(format!("{}: {error}", path.display()))),
    };
    let program = std::env::current_exe().map_err(|error| Failure::input(format!("this program: {error}")))?;
    let site = if site.contains("://") { site.to_owned() } else { absolute(Path::new(site))? };
    let mut command = vec![absolute(&program)?, site, FLAG.to_owned(), "--out".to_owned(), absolute(out)?];
    match browser {
        Some(browser) => command.extend(["--browser".to_owned(), absolute(browser)?]),
        None => command.push("--cards".to_owned()),
    }
    Ok(command)
}

/// Runs the executor that the environment names until its agent shuts it down.
pub(crate) fn run(painter: Painter) -> Result<(), Failure> {
    let ended = Arc::new(Notify::new());
    let waker = {
        let ended = Arc::clone(&ended);
        Arc::new(move || ended.notify_one())
    };
    #[expect(clippy::disallowed_methods, reason = "an agent tells its executor there who it is")]
    let id = std::env::var("MESOS_EXECUTOR_ID").unwrap_or_default();
    let executor = executor_of(&id, &painter.site(), &Arc::new(painter), waker);
    let executor = executor.ok_or_else(|| {
        Failure::input(format!("MESOS_EXECUTOR_ID is {id:?}, expected crawler or renderer: an agent starts executors"))
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let reason = runtime.block_on(async {
        let mut client =
            ExecutorClient::from_environment(executor).map_err(|error| Failure::input(error.to_string()))?;
        loop {
            tokio::select! {
                step = client.step() => if let Some(reason) = step {
                    return Ok::<_, Failure>(reason);
                },
                () = ended.notified() => client.act(|executor, reports| executor.woken(reports)),
            }
        }
    })?;
    if matches!(reason, StopReason::ShutDown | StopReason::AgentLost) {
        return Ok(());
    }
    Err(Failure::Run(reason.to_string()))
}
