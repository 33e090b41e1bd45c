//! The same frameworks over HTTP, on a cluster that somebody else runs.

use crate::hadoop::Hadoop;
use crate::mpi::Mpi;
use crate::run::Outcome;
use apportion::v1::connection::StopReason;
use apportion::{Call, Framework, Role, Scheduler};
use apportion_http::Client;
use apportion_http::client::{ClientBuilder, Masters};
use std::error::Error;

/// The reason why a framework has not done its work.
#[derive(Debug, thiserror::Error)]
#[error("{framework}: {reason}")]
struct Ended {
    framework: &'static str,
    reason: StopReason,
}

/// Runs both frameworks until their work is done: Hadoop's job and so many gangs.
pub(crate) async fn run(masters: &Masters, hadoop: Hadoop, mpi: Mpi, gangs: usize) -> Result<Outcome, Box<dyn Error>> {
    let mut hadoop = client(masters, "hadoop", hadoop)?;
    let mut mpi = client(masters, "mpi", mpi)?;
    mpi.act(|mpi, calls| mpi.submit(gangs, calls));
    tokio::try_join!(
        drive("hadoop", &mut hadoop, |hadoop| hadoop.done.is_some()),
        drive("mpi", &mut mpi, Mpi::is_done)
    )?;
    Ok(Outcome::of(Some(hadoop.scheduler()), Some(mpi.scheduler())))
}

fn client<S: Scheduler>(masters: &Masters, name: &str, scheduler: S) -> Result<Client<S>, Box<dyn Error>> {
    let mut framework = Framework::new("").role(Role::new(name)?);
    framework.name = Some(name.into());
    Ok(ClientBuilder::new(masters.clone(), framework).build(scheduler)?)
}

/// Runs a framework until its work is done, and removes it then.
async fn drive<S: Scheduler>(
    framework: &'static str,
    client: &mut Client<S>,
    is_done: impl Fn(&S) -> bool,
) -> Result<(), Ended> {
    let mut is_leaving = false;
    loop {
        if !is_leaving && is_done(client.scheduler()) {
            is_leaving = true;
            client.act(|_, calls| calls.push(Call::Teardown));
        }
        match client.step().await {
            Some(StopReason::TornDown) => return Ok(()),
            Some(reason) => return Err(Ended { framework, reason }),
            None => {}
        }
    }
}
