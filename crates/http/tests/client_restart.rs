//! A master that is killed and started again under running clients: they subscribe again under their ids, and nothing is launched
//! twice.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

use apportion::scheduler::{Calls, Scheduler};
use apportion::{
    Accept, Agent, Command, Config, Framework, FrameworkId, Offer, Recovery, Registration, Role, RunningTask, Task,
    TaskId, TaskState, TaskStatus, Uuid,
};
use apportion_http::client::{ClientBuilder, ClientHandle};
use apportion_http::{NoAgents, Server, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const TASKS: usize = 3;

/// The longest that anything is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Keeps three tasks running, and counts how often it has launched each.
#[derive(Debug)]
struct Keeper {
    launched: BTreeMap<TaskId, u32>,
    states: BTreeMap<TaskId, TaskState>,
    told: mpsc::UnboundedSender<String>,
}

impl Scheduler for Keeper {
    fn subscribed(&mut self, framework: FrameworkId, _: &mut Calls) {
        let _ = self.told.send(format!("subscribed as {framework}"));
    }

    fn disconnected(&mut self, _: &mut Calls) {
        let _ = self.told.send("disconnected".to_owned());
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let missing: Vec<TaskId> = (0..TASKS)
                .map(|number| TaskId::from(format!("t{number}")))
                .filter(|id| self.states.get(id).is_none_or(|state| state.is_terminal()))
                .collect();
            let mut accept = Accept::of(&offer);
            for id in missing {
                *self.launched.entry(id.clone()).or_default() += 1;
                self.states.insert(id.clone(), TaskState::Staging);
                accept = accept.launch(Task::new(id, "cpus:1;mem:64".parse().unwrap()));
            }
            let _ = self.told.send(format!("{} launched", accept.tasks().count()));
            calls.accept(accept);
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        self.states.insert(status.task.clone(), status.state);
        let _ = self.told.send(format!("{} {}", status.task, status.state));
    }
}

/// Waits until the scheduler is told that.
async fn until(told: &mut mpsc::UnboundedReceiver<String>, wanted: impl Fn(&str) -> bool) -> String {
    let found = async {
        loop {
            let what = told.recv().await.expect("the client runs");
            if wanted(&what) {
                return what;
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.expect("it is told in time")
}

async fn ask<T: Send + 'static>(
    handle: &ClientHandle<Keeper>,
    question: impl FnOnce(&Keeper) -> T + Send + 'static,
) -> T {
    let (sender, mut answer) = mpsc::channel(1);
    handle.act(move |keeper, _| drop(sender.try_send(question(keeper)))).await.unwrap();
    answer.recv().await.unwrap()
}

/// Serves a master at that address; the first time it is any.
async fn serve(server: &Server, address: &str) -> (String, JoinHandle<()>) {
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await, // until the system has closed the socket of before
        }
    };
    let address = listener.local_addr().unwrap().to_string();
    (address, tokio::spawn(server.serve(listener)))
}

fn settings(id: &str) -> Settings {
    Settings::default().id(id, 1).config(Config::new().allocation_interval(Duration::from_millis(50)))
}

fn agent() -> Agent {
    Agent::new("a1", "cpus:4;mem:1024".parse().unwrap())
}

/// Tells that a task runs, as an agent does.
async fn runs(server: &Server, framework: &FrameworkId, task: &TaskId, number: u64) {
    let mut status = TaskStatus::new(task.clone(), TaskState::Running);
    (status.agent, status.uuid) = (Some("a1".into()), Some(Uuid::from_seed(1, number)));
    server.command(Command::TaskStatus(framework.clone(), status)).await.unwrap();
}

async fn nothing_is_launched_twice(is_agent_first: bool) {
    let (sender, mut told) = mpsc::unbounded_channel();
    let keeper = Keeper { launched: BTreeMap::new(), states: BTreeMap::new(), told: sender };
    let first = Server::start(settings("first"), NoAgents);
    first.command(Command::AddAgent(agent().into())).await.unwrap();
    let (address, serving) = serve(&first, "127.0.0.1:0").await;
    let framework = Framework::new("").role(Role::new("web").unwrap()).failover_timeout(Duration::from_secs(600));
    let mut client = ClientBuilder::new(address.parse().unwrap(), framework).seed(7).build(keeper).unwrap();
    let handle = client.handle();
    let running = tokio::spawn(async move { client.run().await });
    let id = until(&mut told, |what| what.starts_with("subscribed as ")).await;
    let id = FrameworkId::from(id.trim_start_matches("subscribed as "));
    until(&mut told, |what| what == "3 launched").await;
    let tasks: Vec<TaskId> = ask(&handle, |keeper| keeper.launched.keys().cloned().collect()).await;
    for (number, task) in tasks.iter().enumerate() {
        let is_launched = async { while first.query(|master| master.metrics().tasks.staging).await.unwrap() == 0 {} };
        tokio::time::timeout(LIMIT, is_launched).await.unwrap();
        runs(&first, &id, task, number as u64).await;
        until(&mut told, |what| what == format!("{task} TASK_RUNNING")).await;
    }

    // The master is killed: all that it knew is gone.
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    drop(first);
    until(&mut told, |what| what == "disconnected").await;
    let second = Server::start(settings("second"), NoAgents);
    second.command(Command::Recover(Recovery::of(["a1".into()]))).await.unwrap();
    let returns = async {
        let mut registration = Registration::from(agent());
        for task in &tasks {
            let mut task = Task::new(task.clone(), "cpus:1;mem:64".parse().unwrap());
            task.agent = Some("a1".into());
            let role = Role::new("web").unwrap();
            registration = registration.task(RunningTask::new(id.clone(), role, task).state(TaskState::Running));
        }
        second.command(Command::AddAgent(registration)).await.unwrap();
    };
    let _serving: JoinHandle<()>;
    if is_agent_first {
        returns.await;
        _serving = serve(&second, &address).await.1;
        until(&mut told, |what| what == format!("subscribed as {id}")).await;
    } else {
        _serving = serve(&second, &address).await.1;
        until(&mut told, |what| what == format!("subscribed as {id}")).await;
        let reconciled = |handle: &ClientHandle<Keeper>| {
            handle.metrics().counts.calls.get("RECONCILE").is_some_and(|calls| calls.accepted > 0)
        };
        let is_asked = async {
            while !reconciled(&handle) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, is_asked).await.unwrap();
        returns.await; // there was no answer for its tasks before
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(5)).await; // and then the client asks again
        tokio::time::resume();
    }
    let mut missing: BTreeSet<TaskId> = tasks.iter().cloned().collect();
    while !missing.is_empty() {
        let what = until(&mut told, |what| what.contains("TASK_")).await;
        let (task, state) = what.split_once(' ').unwrap();
        assert_eq!(state, "TASK_RUNNING");
        missing.remove(task);
    }
    until(&mut told, |what| what == "0 launched").await; // it was offered what is left
    let launched = ask(&handle, |keeper| keeper.launched.clone()).await;
    assert!(launched.len() == TASKS && launched.values().all(|times| *times == 1), "{launched:?}");
    let state = second.query(|master| master.state()).await.unwrap();
    assert_eq!((state.frameworks.len(), &state.frameworks[0].id), (1, &id));
    assert_eq!(state.frameworks[0].tasks.len(), TASKS);
    assert_eq!(handle.metrics().counts.connects, 2);
    running.abort();
}

#[tokio::test]
async fn a_master_is_started_again_after_its_agent() {
    nothing_is_launched_twice(true).await;
}

#[tokio::test]
async fn a_master_is_started_again_before_its_agent() {
    nothing_is_launched_twice(false).await;
}
