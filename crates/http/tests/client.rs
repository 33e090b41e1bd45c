//! A scheduler over HTTP, against this master: what connects, redirects, ends and begins anew.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

use apportion::scheduler::{Calls, Scheduler, TaskRef};
use apportion::v1::Dialect;
use apportion::v1::SchedulerCall;
use apportion::v1::connection::{Codec, Connection, StopReason};
use apportion::{
    Accept, Agent, Call, Command, Event, Framework, FrameworkId, Offer, Role, Task, TaskId, TaskState, TaskStatus, Uuid,
};
use apportion_http::client::{ClientBuilder, Masters};
use apportion_http::protobuf::Protobuf;
use apportion_http::{Authentication, Client, Leadership, NoAgents, Realm, Server, Settings};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Launches one task, and leaves when it has ended.
#[derive(Debug, Default)]
struct OneTask {
    /// The ids under which it was subscribed, one for each time.
    id: Vec<FrameworkId>,
    launched: bool,
    states: Vec<TaskState>,
}

impl Scheduler for OneTask {
    fn subscribed(&mut self, framework: FrameworkId, _: &mut Calls) {
        self.id.push(framework);
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let task = Task::new("t1", "cpus:1;mem:32".parse().unwrap());
            let accept = Accept::of(&offer);
            calls.accept(
                if self.launched { accept } else { accept.launch(task) }.refuse_rest_for(Duration::from_secs(600)),
            );
            self.launched = true;
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        self.states.push(status.state);
        if status.state.is_terminal() {
            calls.push(Call::Teardown);
        }
    }
}

async fn start() -> (Server, String, JoinHandle<()>) {
    start_with(Settings::default()).await
}

async fn start_with(settings: Settings) -> (Server, String, JoinHandle<()>) {
    let server = Server::start(settings, NoAgents);
    let agent = Agent::new("a1", "cpus:4;mem:1024".parse().unwrap());
    server.command(Command::AddAgent(agent.into())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(server.serve(listener));
    (server, address, serving)
}

fn framework() -> Framework {
    Framework::new("").role(Role::new("web").unwrap()).failover_timeout(Duration::from_secs(600))
}

/// Tells a status of the task, as an agent does.
async fn tell(server: &Server, framework: &FrameworkId, state: TaskState, number: u64) {
    let mut status = TaskStatus::new("t1", state);
    (status.agent, status.uuid) = (Some("a1".into()), Some(Uuid::from_seed(1, number)));
    server.command(Command::TaskStatus(framework.clone(), status)).await.unwrap();
}

/// Runs a client until something holds of its scheduler.
async fn until<K: Codec<SchedulerCall, Event>>(
    client: &mut Client<OneTask, K>,
    holds: impl Fn(&OneTask) -> bool,
) -> Option<StopReason> {
    while !holds(client.scheduler()) {
        if let Some(reason) = client.step().await {
            return Some(reason);
        }
    }
    None
}

/// Runs a client until the master has launched its task.
async fn launched<K: Codec<SchedulerCall, Event>>(server: &Server, client: &mut Client<OneTask, K>) {
    while server.query(|master| master.metrics().tasks.staging).await.unwrap() == 0 {
        assert_eq!(client.step().await, None);
    }
}

async fn runs_a_task<K: Codec<SchedulerCall, Event>>(codec: K) {
    let (server, address, _serving) = start().await;
    let mut client = Client::new(Connection::with_codec(codec, [address], framework(), 7).unwrap(), OneTask::default());
    assert_eq!(until(&mut client, |scheduler| scheduler.launched).await, None);
    let id = client.scheduler().id[0].clone();
    launched(&server, &mut client).await;
    tell(&server, &id, TaskState::Running, 1).await;
    tell(&server, &id, TaskState::Finished, 2).await;
    assert_eq!(client.run().await, StopReason::TornDown);
    assert_eq!(client.scheduler().states, [TaskState::Running, TaskState::Finished]);
    assert!(server.query(move |master| master.has_removed(&id)).await.unwrap());
}

#[tokio::test]
async fn a_scheduler_runs_a_task_in_json_and_in_protobuf() {
    let dialect = Dialect::of(&framework());
    runs_a_task(dialect.clone()).await;
    runs_a_task(Protobuf(dialect)).await;
}

#[tokio::test]
async fn a_client_follows_a_standby_to_the_leader() {
    let (standby, first, _serving) = start().await;
    let (_leader, second, _serving_too) = start().await;
    standby.set_leadership(Leadership::Standby(Some(second.clone())));
    let mut client = Client::new(Connection::new([first], framework(), 7).unwrap(), OneTask::default());
    assert_eq!(until(&mut client, |scheduler| scheduler.launched).await, None);
    assert!(client.connection().master().contains(&second), "{}", client.connection().master());
}

#[tokio::test]
async fn a_client_comes_back_under_its_id_to_a_master_that_was_gone() {
    let (server, address, serving) = start().await;
    let mut client = Client::new(Connection::new([&address], framework(), 7).unwrap(), OneTask::default());
    assert_eq!(until(&mut client, |scheduler| scheduler.launched).await, None);
    launched(&server, &mut client).await;
    serving.abort(); // all connections are closed
    assert!(serving.await.unwrap_err().is_cancelled());
    let listener = loop {
        match TcpListener::bind(&address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await, // until the system has closed the socket of before
        }
    };
    let _serving = tokio::spawn(server.serve(listener));
    assert_eq!(until(&mut client, |scheduler| scheduler.id.len() == 2).await, None);
    let ids = client.scheduler().id.clone();
    assert_eq!(ids[0], ids[1]);
    // The task that the client reconciles after a lost connection is known: it was launched before.
    assert_eq!(until(&mut client, |scheduler| !scheduler.states.is_empty()).await, None);
    assert_eq!(client.scheduler().states, [TaskState::Staging]);
    tell(&server, &ids[0], TaskState::Failed, 1).await;
    assert_eq!(client.run().await, StopReason::TornDown);
}

#[tokio::test]
async fn the_next_instance_goes_on_with_the_tasks_of_the_one_before() {
    let (server, address, _serving) = start().await;
    let masters: Masters = address.parse().unwrap();
    let mut first = ClientBuilder::new(masters.clone(), framework()).build(OneTask::default()).unwrap();
    launched(&server, &mut first).await;
    let id = first.scheduler().id[0].clone();
    first.handle().stop();
    assert_eq!(first.run().await, StopReason::Left);
    tell(&server, &id, TaskState::Running, 1).await; // meanwhile

    let mut again = framework();
    again.id = id.clone();
    let known = TaskRef::from(TaskId::from("t1"));
    let builder = ClientBuilder::new(masters.clone(), again.clone()).protobuf().task(known);
    let mut second = builder.build(OneTask { launched: true, ..OneTask::default() }).unwrap();
    assert_eq!(until(&mut second, |scheduler| !scheduler.states.is_empty()).await, None);
    assert_eq!((&second.scheduler().states[..], &second.scheduler().id[..]), (&[TaskState::Running][..], &[id][..]));

    // A third that comes while the second runs takes over.
    let third = ClientBuilder::new(masters, again).build(OneTask { launched: true, ..OneTask::default() });
    let mut third = third.unwrap();
    assert_eq!(until(&mut third, |scheduler| !scheduler.id.is_empty()).await, None);
    assert_eq!(second.run().await, StopReason::FailedOver);
    third.handle().teardown();
    assert_eq!(third.run().await, StopReason::TornDown);
    assert_eq!(server.query(|master| master.state().frameworks.len()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_master_that_asks_for_credentials_gets_them() {
    let credentials = r#"{"credentials":[{"principal":"web","secret":"s3cret"}]}"#;
    let authentication = Authentication::from_json(credentials).unwrap().asking(Realm::Scheduler);
    let (_server, address, _serving) = start_with(Settings::default().authentication(authentication)).await;
    let client = |secret| {
        let builder = ClientBuilder::new(address.parse().unwrap(), framework()).credentials("web", secret);
        builder.build(OneTask::default()).unwrap()
    };
    let mut right = client("s3cret");
    assert_eq!(until(&mut right, |scheduler| scheduler.launched).await, None);
    let refused = client("guess").run().await;
    assert!(matches!(refused, StopReason::Refused { status: 401, .. }), "{refused}");
}
