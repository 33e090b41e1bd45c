//! Single faults.

use super::{agent_of, cluster, executor_of, run_for, target};
use apportion::simulation::Cluster;
use apportion::{
    AgentId, Call, Calls, Command, Effect, Event, FrameworkId, Scheduler, TaskId, TaskState, TaskStatus, Time,
};
use apportion_marathon::{FAIL_CHECKS, Marathon, result_status};
use serde_json::{Value as Json, json};

/// Returns a framework that has run these apps on three agents for ten seconds.
fn running(apps: Json) -> (Cluster<Marathon>, FrameworkId) {
    let (mut cluster, id) = cluster(3, Marathon::default());
    deploy(&mut cluster, &id, apps);
    run_for(&mut cluster, 10.0);
    (cluster, id)
}

fn deploy(cluster: &mut Cluster<Marathon>, id: &FrameworkId, apps: Json) {
    let target = target(&json!({"id": "/", "apps": apps}));
    cluster.tell(id, |marathon, calls| marathon.deploy(target, &[], calls)).unwrap();
}

fn tasks(cluster: &Cluster<Marathon>, id: &FrameworkId) -> Vec<(String, TaskState)> {
    let tasks = cluster.scheduler(id).unwrap().tasks();
    tasks.map(|task| (task.launch.id.to_string(), task.state)).collect()
}

fn names(cluster: &Cluster<Marathon>, id: &FrameworkId) -> Vec<String> {
    tasks(cluster, id).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn an_executor_dies_and_its_task_is_launched_again_after_a_while() {
    let (mut cluster, id) =
        running(json!([{"id": "web", "cmd": "serve", "instances": 2, "backoffSeconds": 5, "backoffFactor": 2}]));
    let dead = executor_of(&cluster, &"web.1".into());
    cluster.end_executor(&dead, 9).unwrap();
    run_for(&mut cluster, 4.0);
    assert_eq!(names(&cluster, &id), ["web.2"]);
    run_for(&mut cluster, 2.0);
    assert_eq!(names(&cluster, &id), ["web.2", "web.3"]);
    let dead = executor_of(&cluster, &"web.3".into());
    cluster.end_executor(&dead, 9).unwrap();
    run_for(&mut cluster, 9.0);
    let waiting = cluster.scheduler(&id).unwrap().queue(cluster.now());
    assert_eq!((waiting[0].instances, waiting[0].until.is_some()), (1, true));
    run_for(&mut cluster, 2.0);
    assert_eq!(names(&cluster, &id), ["web.2", "web.4"]);
}

#[test]
fn a_task_that_ends_is_launched_again_and_what_others_run_does_not_wait() {
    let (mut cluster, id) =
        running(json!([{"id": "job", "cmd": "serve", "backoffSeconds": 100}, {"id": "web", "cmd": "serve"}]));
    let executor = executor_of(&cluster, &"job.1".into());
    cluster.act(&executor, |_, reports| reports.finished(&"job.1".into())).unwrap();
    run_for(&mut cluster, 50.0);
    assert_eq!(names(&cluster, &id), ["web.1"]);
    deploy(
        &mut cluster,
        &id,
        json!([{"id": "job", "cmd": "serve", "backoffSeconds": 100}, {"id": "web", "cmd": "serve", "instances": 2}]),
    );
    run_for(&mut cluster, 10.0);
    assert_eq!(names(&cluster, &id), ["web.1", "web.2"]);
    run_for(&mut cluster, 50.0);
    assert_eq!(names(&cluster, &id), ["web.1", "web.2", "job.2"]);
}

#[test]
fn an_agent_is_lost_in_mid_deployment() {
    let app = |cpus: f64| {
        let strategy = json!({"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.5});
        json!([{"id": "web", "cmd": "serve", "instances": 4, "cpus": cpus, "upgradeStrategy": strategy, "healthChecks": [{}]}])
    };
    let (mut cluster, id) = running(app(1.0));
    deploy(&mut cluster, &id, app(2.0));
    run_for(&mut cluster, 0.5); // new tasks run, and are not healthy yet
    let agent = cluster.scheduler(&id).unwrap().tasks().last().unwrap().launch.agent.clone();
    cluster.remove_agent(&agent).unwrap();
    run_for(&mut cluster, 30.0);
    let marathon = cluster.scheduler(&id).unwrap();
    assert_eq!(marathon.tasks().filter(|task| task.is_up() && task.launch.agent != agent).count(), 4);
    assert!(marathon.tasks().all(|task| task.launch.resources.amount("cpus").to_string() == "2"));
    assert_eq!(marathon.deployments()[1].json()["state"], "finished");
}

#[test]
fn a_status_may_come_twice_or_late() {
    let app = json!([{"id": "web", "cmd": "serve", "instances": 2, "healthChecks": [{"gracePeriodSeconds": 0, "intervalSeconds": 10,
        "maxConsecutiveFailures": 3}]}]);
    let (mut cluster, id) = running(app);
    let executor = executor_of(&cluster, &"web.1".into());
    cluster.act(&executor, |executor, reports| executor.message(FAIL_CHECKS.to_vec(), reports)).unwrap();
    run_for(&mut cluster, 10.5);
    let mut failed = result_status(&"web.1".into(), 0, Err("sick".to_owned()));
    failed.timestamp = Some(20.0);
    let mut good = result_status(&"web.1".into(), 0, Ok(()));
    good.timestamp = Some(11.0);
    let mut unreachable = TaskStatus::new("web.1", TaskState::Unreachable);
    unreachable.timestamp = Some(1.0);
    for status in [&unreachable, &failed, &failed, &failed, &good, &TaskStatus::new("web.1", TaskState::Starting)] {
        cluster.deliver(&id, Event::Update(status.clone())).unwrap();
    }
    run_for(&mut cluster, 1.0);
    let marathon = cluster.scheduler(&id).unwrap();
    let task = marathon.task(&"web.1".into()).unwrap(); // one failure, reported four times
    assert_eq!((task.state, task.healthy(), task.is_killed), (TaskState::Running, Some(false), false));
    run_for(&mut cluster, 20.0);
    assert_eq!(names(&cluster, &id), ["web.2", "web.3"]); // after two more
    for state in [TaskState::Killed, TaskState::Running, TaskState::Failed] {
        cluster.deliver(&id, Event::Update(TaskStatus::new("web.1", state))).unwrap();
    }
    run_for(&mut cluster, 10.0);
    assert_eq!(tasks(&cluster, &id).len(), 2);
    assert!(cluster.scheduler(&id).unwrap().tasks().all(|task| task.is_up()));
}

#[test]
fn a_running_task_that_nobody_knows_is_killed() {
    let mut marathon = Marathon::default();
    let mut calls = Calls::new(Time::ZERO);
    marathon.receive(Event::Update(TaskStatus::new("stray.1", TaskState::Running)), &mut calls);
    assert_eq!(calls.into_vec(), [Call::Kill(TaskId::from("stray.1").into())]);
    let mut calls = Calls::new(Time::ZERO);
    marathon.receive(Event::Update(TaskStatus::new("stray.2", TaskState::Failed)), &mut calls);
    assert!(calls.into_vec().is_empty());
}

#[test]
fn an_offer_is_rescinded_as_it_is_accepted() {
    let (mut cluster, id) = cluster(1, Marathon::default());
    // The agent is lost while its offer is under way, so the accept comes too late.
    let offer_of = |effect| if let Effect::Offer(offer) = effect { Some(offer) } else { None };
    let offer = std::iter::from_fn(|| cluster.step(Time::from_secs(1))).find_map(|emitted| offer_of(emitted.effect));
    deploy(&mut cluster, &id, json!([{"id": "web", "cmd": "serve"}]));
    cluster.command(Command::RemoveAgent(AgentId::from("agent-1"))).unwrap();
    cluster.deliver(&id, Event::Offers(vec![offer.unwrap()])).unwrap();
    run_for(&mut cluster, 5.0);
    let marathon = cluster.scheduler(&id).unwrap();
    assert_eq!((marathon.tasks().count(), marathon.queue(Time::ZERO).len()), (0, 1)); // the task was reported as lost
    cluster.add_agent(agent_of("agent-2")).unwrap();
    run_for(&mut cluster, 5.0);
    assert_eq!(tasks(&cluster, &id), [("web.2".to_owned(), TaskState::Running)]);
}

#[test]
fn a_version_that_never_comes_up_leaves_enough_of_the_old_one() {
    let app = |cpus: f64| {
        let strategy = json!({"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0});
        json!([{"id": "web", "cmd": "serve", "instances": 4, "cpus": cpus, "upgradeStrategy": strategy, "maxLaunchDelaySeconds": 2,
            "healthChecks": [{}]}])
    };
    let (mut cluster, id) = running(app(1.0));
    deploy(&mut cluster, &id, app(2.0));
    for _ in 0..100 {
        run_for(&mut cluster, 0.5); // the first check is made after a second
        let old = ["web.1", "web.2", "web.3", "web.4"].map(TaskId::from);
        let new: Vec<_> =
            cluster.executors().filter(|of| !cluster.tasks_of(of).any(|task| old.contains(task))).cloned().collect();
        new.iter().for_each(|executor| cluster.end_executor(executor, 1).unwrap());
    }
    let marathon = cluster.scheduler(&id).unwrap();
    let old: Vec<_> = marathon.tasks().filter(|task| task.is_up()).map(|task| task.launch.id.as_str()).collect();
    assert_eq!(old, ["web.1", "web.2"]); // the youngest two were killed
    assert_eq!(marathon.deployments()[1].json()["state"], "running");
    deploy(&mut cluster, &id, app(1.0)); // back again
    run_for(&mut cluster, 10.0);
    let marathon = cluster.scheduler(&id).unwrap();
    assert_eq!(marathon.tasks().filter(|task| task.is_up()).count(), 4);
    let states: Vec<_> = marathon.deployments().iter().map(|one| one.json()["state"].clone()).collect();
    assert_eq!(states, ["finished", "replaced by 3", "finished"]);
}

#[test]
fn it_is_the_same_through_the_messages_of_mesos() {
    let app = |greeting: &str| json!([{"id": "web", "cmd": "serve", "instances": 3, "env": {"GREETING": greeting}, "healthChecks": [{}]}]);
    let run = |mut cluster: Cluster<Marathon>, id: FrameworkId| {
        deploy(&mut cluster, &id, app("hello"));
        run_for(&mut cluster, 10.0);
        deploy(&mut cluster, &id, app("good day"));
        let dead = executor_of(&cluster, &"web.2".into());
        cluster.end_executor(&dead, 9).unwrap();
        run_for(&mut cluster, 20.0);
        let marathon = cluster.scheduler(&id).unwrap();
        assert_eq!(marathon.tasks().filter(|task| task.is_up()).count(), 3);
        let deployments: Vec<Json> = marathon.deployments().iter().map(|deployment| deployment.json()).collect();
        (tasks(&cluster, &id), deployments)
    };
    let (by_value, id) = cluster(3, Marathon::default());
    let (by_json, _) = cluster(3, Marathon::default());
    assert_eq!(run(by_value, id.clone()), run(by_json.through_json(), id));
}
