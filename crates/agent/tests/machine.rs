//! The agent's machine: what it does with tasks, executors and their statuses.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that goes wrong ends")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "lists are compared with lists")]
#![allow(dead_code, reason = "the rig serves several tests")]

mod rig;

use TaskState::{Dropped, Failed, Finished, Killed, Killing, Running, Starting};
use apportion::executor::{Call, Event};
use apportion::{
    Details, Disk, Drain, ExecutorInfo, Framework, Json, Operation, Reservation, Resources, Role, Task, TaskState,
};
use apportion_agent::machine::{
    ContainerEvent, ContainerId, ExecutorKind, Exit, Input, Limitation, Program, Record, Rejected,
};
use apportion_http::internal::{AgentCall, MasterEvent};
use rig::{Rig, command, custom, framework, secs};

#[test]
fn registration_is_tried_again_with_the_same_nonce_until_it_is_answered() {
    let mut rig = Rig::new();
    rig.input(Input::MasterFound);
    rig.wait(secs(1));
    let Some(AgentCall::Register(first)) = rig.calls.pop() else { panic!("{:?}", rig.calls) };
    rig.input(Input::MasterLost { leader_known: true });
    rig.wait(secs(2));
    let Some(AgentCall::Register(second)) = rig.calls.pop() else { panic!("{:?}", rig.calls) };
    assert_eq!(first, second);
    assert!(!rig.agent.is_registered());
    rig.wait(secs(60)); // nobody answers
    assert_eq!(rig.disconnects, 1);
    rig.input(Input::MasterLost { leader_known: false });
    rig.wait(secs(100));
    assert!(rig.calls.is_empty(), "nobody leads");
    rig.register();
    assert!(rig.agent.is_registered());
    assert!(rig.records.iter().any(|record| matches!(record, Record::Agent(agent) if agent.epoch == 1)));
    assert_eq!(rig.reregisters().registration.agent_info.id.as_str(), "a1");
}

#[test]
fn an_agent_without_pings_looks_for_its_master() {
    let mut rig = Rig::registered();
    for seq in 1..=3 {
        rig.wait(secs(74));
        rig.master(MasterEvent::Ping { seq, connected: true });
        assert_eq!(rig.calls.pop(), Some(AgentCall::Pong { seq }));
    }
    rig.wait(secs(74));
    assert_eq!(rig.disconnects, 0);
    rig.wait(secs(1));
    assert_eq!((rig.disconnects, rig.agent.is_registered()), (1, false));

    let mut rig = Rig::registered();
    rig.master(MasterEvent::Ping { seq: 1, connected: false });
    assert_eq!((rig.disconnects, rig.calls.len()), (1, 0));
}

#[test]
fn a_command_is_run_by_an_executor_of_its_own() {
    let mut rig = Rig::registered();
    rig.run(framework(), command("t1"));
    let launch = rig.launches[0].clone();
    assert_eq!((launch.program, launch.checkpoint), (Program::BuiltIn(ExecutorKind::Command), true));
    assert_eq!(launch.resources, "cpus:1.1;mem:96".parse().unwrap());
    assert_eq!(launch.run.executor.as_str(), "t1");
    assert_eq!(rig.call("t1", Call::Heartbeat), Err(Rejected::NotSubscribed));
    rig.started();
    let stream = rig.subscribe("t1");
    let events = rig.take_events();
    let [Event::Subscribed(subscribed), Event::Launch(task)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(subscribed.executor.id.as_str(), "t1");
    assert_eq!(subscribed.agent.get("id").unwrap().get("value").unwrap().as_str().unwrap(), "a1");
    assert_eq!(subscribed.container.as_ref().unwrap().get("value").unwrap(), launch.run.container.as_str());
    assert_eq!((task.id.as_str(), task.agent.as_ref().unwrap().as_str()), ("t1", "a1"));

    let uuid = rig.update("t1", "t1", Starting);
    assert_eq!(rig.take_events(), [Event::Acknowledged { task: "t1".into(), uuid }]);
    let status = rig.take_statuses().pop().unwrap();
    assert_eq!((status.agent.unwrap().as_str(), status.executor.unwrap().as_str()), ("a1", "t1"));
    let container = status.details.get("container_status").unwrap();
    assert_eq!(
        container.get("container_id").unwrap().get("value").unwrap().as_str().unwrap(),
        launch.run.container.as_str()
    );
    let address = container.get("network_infos").unwrap().at(0).unwrap().get("ip_addresses").unwrap().at(0).unwrap();
    assert_eq!(address.get("ip_address").unwrap().as_str().unwrap(), "127.0.0.1");
    rig.input(Input::StreamEnded(stream));

    // The master counts the task, and knows nothing of the executor.
    let call = rig.reregisters();
    assert_eq!((call.executors.len(), call.tasks.len(), call.frameworks.len()), (0, 1, 1));
    assert_eq!(call.tasks[0].executor_id, None);
    assert_eq!((call.tasks[0].latest_state, call.tasks[0].status_update_state), (Starting, Some(Starting)));
    assert_eq!(call.tasks[0].status_update_uuid, Some(uuid));
}

#[test]
fn one_status_is_in_flight_and_repeated_until_its_uuid_is_acknowledged() {
    let mut rig = Rig::registered();
    rig.run(framework(), command("t1"));
    rig.started();
    rig.subscribe("t1");
    let first = rig.update("t1", "t1", Running);
    let second = rig.update("t1", "t1", Finished);
    let sent: Vec<_> = rig.take_statuses().iter().map(|status| status.uuid.unwrap()).collect();
    assert_eq!(sent, [first]);
    rig.acknowledge("t1", second); // not its uuid
    for wait in [10, 20, 40, 80, 160, 320, 600, 600] {
        rig.wait_with_pings(secs(wait - 1));
        assert_eq!(rig.take_statuses(), []);
        rig.wait_with_pings(secs(1));
        let again = rig.take_statuses();
        assert_eq!((again.len(), again[0].uuid), (1, Some(first)), "after {wait} s");
    }
    rig.acknowledge("t1", first);
    let sent = rig.take_statuses();
    assert_eq!((sent.len(), sent[0].uuid), (1, Some(second)));

    // It waits while there is no master, and goes at once when there is one again, even after a restart.
    let call = rig.reregisters();
    assert_eq!((call.tasks[0].latest_state, call.tasks[0].status_update_uuid), (Finished, Some(second)));
    rig.wait(secs(40));
    assert_eq!(rig.take_statuses(), []);
    rig.restart();
    rig.register();
    let sent = rig.take_statuses();
    assert_eq!((sent.len(), sent[0].uuid), (1, Some(second)));
    rig.acknowledge("t1", second);
    let container = rig.reattached[0].0.container.clone();
    rig.ended(container, 0);
    assert!(rig.disk.is_idle(), "{:?}", rig.disk);
    assert_eq!(rig.take_statuses(), []);
}

#[test]
fn a_uuid_is_taken_in_once_and_a_second_terminal_status_is_sent_too() {
    let mut rig = Rig::registered();
    rig.run(framework(), custom("t1", "e1"));
    rig.started();
    rig.subscribe("e1");
    rig.take_events();
    let status = rig.status("t1", Running);
    for _ in 0..2 {
        rig.call("e1", Call::Update(Box::new(status.clone()))).unwrap();
    }
    assert_eq!(rig.kinds(), ["ACKNOWLEDGED"; 2]);
    assert_eq!(rig.take_statuses().len(), 1);
    rig.acknowledge("t1", status.uuid.unwrap());
    assert_eq!(rig.take_statuses(), [], "the second is the same");

    let finished = rig.update("e1", "t1", Finished);
    assert_eq!(rig.agent.executors().next().unwrap().resources(), "cpus:0.5".parse().unwrap(), "free at the first");
    let failed = rig.update("e1", "t1", Failed);
    rig.acknowledge("t1", finished);
    rig.acknowledge("t1", failed);
    let late = rig.update("e1", "t1", Killed); // the task is forgotten by now
    assert_eq!(rig.take_states().iter().map(|(_, state, _)| *state).collect::<Vec<_>>(), [Finished, Failed, Killed]);
    assert_eq!(rig.kinds(), ["ACKNOWLEDGED"; 3]);
    assert_eq!(rig.reregisters().tasks, [], "that one is no task any more");
    rig.register_answer();
    rig.acknowledge("t1", late);
    rig.take_statuses();
    assert_eq!(rig.tasks().len(), 0);
}

#[test]
fn an_executor_that_ends_fails_its_tasks_and_then_the_master_hears_of_it() {
    let mut rig = Rig::registered();
    rig.run(framework(), custom("t1", "e1"));
    rig.started();
    rig.subscribe("e1");
    rig.run(framework(), custom("t2", "e1"));
    assert_eq!(rig.launches.len(), 1);
    let uuid = rig.update("e1", "t2", Finished);
    rig.acknowledge("t2", uuid);
    rig.calls.clear();
    rig.ended(rig.last_container(), 7 << 8);
    let [AgentCall::StatusUpdate { status, .. }, AgentCall::ExecutorExited { executor_id, status: exit, .. }] =
        &rig.calls[..]
    else {
        panic!("{:?}", rig.calls)
    };
    assert_eq!((status.state, status.reason.as_deref(), *exit), (Failed, Some("REASON_EXECUTOR_TERMINATED"), 1792));
    assert_eq!((status.message.as_deref(), executor_id.as_str()), (Some("Executor terminated"), "e1"));
    assert_eq!(status.source.unwrap().as_str(), "SOURCE_AGENT");
    assert_eq!(rig.discarded.len(), 0);
    rig.acknowledge_all();
    assert!(rig.disk.is_idle());
    assert_eq!(rig.discarded, [rig.launches[0].directory.clone()]);
    let completed = rig.agent.completed_frameworks().next().unwrap();
    assert_eq!(completed.completed_executors[0].completed_tasks.len(), 2);
    let error = rig.call("e1", Call::Heartbeat).unwrap_err();
    assert_eq!(error, Rejected::UnknownFramework("f1".into()));
}

#[test]
fn a_limit_and_a_failed_launch_say_why() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.take_statuses();
    let limitation =
        Limitation { reason: "REASON_CONTAINER_LIMITATION_MEMORY".into(), message: "Memory limit exceeded".into() };
    rig.container(ContainerEvent::Ended { status: Some(9), limitation: Some(limitation) });
    rig.run(framework(), command("t2"));
    rig.container(ContainerEvent::Step("fetching http://x/a".into()));
    rig.container(ContainerEvent::Failed { message: "http://x/a: 404".into() });
    let statuses = rig.take_statuses();
    let found: Vec<_> =
        statuses.iter().map(|s| (s.state, s.reason.as_deref().unwrap(), s.message.as_deref().unwrap())).collect();
    assert_eq!(
        found,
        [
            (Failed, "REASON_CONTAINER_LIMITATION_MEMORY", "Memory limit exceeded"),
            (Failed, "REASON_CONTAINER_LAUNCH_FAILED", "http://x/a: 404"),
        ]
    );
}

#[test]
fn an_executor_that_does_not_subscribe_is_ended_and_its_step_told() {
    let mut rig = Rig::registered();
    rig.run(framework(), command("t1"));
    rig.wait(secs(30));
    rig.container(ContainerEvent::Step("pulling nginx".into()));
    rig.wait(secs(29));
    assert_eq!(rig.destroyed, []);
    rig.wait(secs(1));
    assert_eq!(rig.destroyed, [rig.last_container()]);
    assert_eq!(rig.take_statuses(), [], "something of it may be left");
    rig.ended(rig.last_container(), 9);
    let status = rig.take_statuses().pop().unwrap();
    assert_eq!((status.state, status.reason.as_deref()), (Failed, Some("REASON_EXECUTOR_REGISTRATION_TIMEOUT")));
    let message = "Executor did not register within 1mins (--executor_registration_timeout): it was pulling nginx";
    assert_eq!(status.message.as_deref(), Some(message));
}

#[test]
fn a_task_that_its_executor_has_not_got_is_killed_at_once() {
    let mut rig = Rig::registered();
    rig.run(framework(), command("t1"));
    rig.kill("t1");
    assert_eq!(rig.take_states(), [("t1".into(), Killed, "REASON_TASK_KILLED_DURING_LAUNCH".into())]);
    assert_eq!(rig.destroyed, [rig.last_container()]);
    rig.kill("t1"); // its last status is told again
    rig.acknowledge_all();
    rig.ended(rig.last_container(), 9);
    assert_eq!(rig.take_statuses(), []);
    assert!(rig.disk.is_idle());

    // A custom executor that runs goes on.
    rig.run(framework(), custom("t2", "e1"));
    rig.started();
    rig.subscribe("e1");
    rig.take_events();
    rig.kill("t2");
    rig.kill("t2");
    assert_eq!(rig.kinds(), ["KILL", "KILL"]);
    rig.update("e1", "t2", Killed);
    rig.kill("t3");
    assert_eq!(rig.take_states().pop().unwrap(), ("t3".into(), Dropped, "REASON_RECONCILIATION".into()));
}

#[test]
fn a_kill_waits_for_an_executor_whose_stream_is_broken() {
    let mut rig = Rig::registered();
    let stream = rig.running("t1");
    rig.input(Input::StreamEnded(stream));
    rig.take_events();
    rig.kill("t1");
    assert_eq!(rig.take_events(), []);
    rig.resubscribe("t1", vec![], vec![]);
    assert_eq!(rig.kinds(), ["SUBSCRIBED", "KILL"]);
    rig.input(Input::StreamEnded(stream)); // the old one
    rig.kill("t1");
    assert_eq!(rig.kinds(), ["KILL"]);
    rig.ended(rig.last_container(), 9);
    assert_eq!(rig.take_states().pop().unwrap(), ("t1".into(), Killed, "REASON_EXECUTOR_TERMINATED".into()));
}

#[test]
fn a_group_is_handed_over_and_killed_as_a_whole() {
    let mut rig = Rig::registered();
    let info = ExecutorInfo::new("pod").detail("type", "DEFAULT");
    let task = |id: &str| {
        let mut task = Task::new(id, "cpus:1;mem:64".parse().unwrap());
        task.role = Some(Role::default());
        task.detail("executor", info.clone()).detail("command", Json::object([("value", "sleep 1")]))
    };
    let group = |ids: [&str; 2]| MasterEvent::RunGroup { framework_info: framework(), tasks: ids.map(task).to_vec() };
    rig.master(group(["a", "b"]));
    assert_eq!(rig.launches[0].program, Program::BuiltIn(ExecutorKind::Default));
    rig.master(group(["c", "d"]));
    rig.kill("d");
    rig.started();
    rig.subscribe("pod");
    let events = rig.take_events();
    let [Event::Subscribed(_), Event::LaunchGroup(tasks)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let killed = rig.take_states();
    let reason = "REASON_TASK_KILLED_DURING_LAUNCH".to_owned();
    assert_eq!(killed, [("c".into(), Killed, reason.clone()), ("d".into(), Killed, reason)]);
    let call = rig.reregisters();
    assert_eq!(call.executors[0].executor_info.id.as_str(), "pod");
    assert!(call.tasks.iter().all(|task| task.executor_id == Some("pod".into())));
    rig.register_answer();

    // The folder of a task that has ended goes before its executor.
    let uuid = rig.update("pod", "a", Finished);
    rig.acknowledge("a", uuid);
    assert_eq!(rig.discarded, [rig.launches[0].directory.join("tasks/a")]);
}

#[test]
fn shutdown_gives_an_executor_its_grace_period_and_kills_it_then() {
    let mut rig = Rig::registered();
    rig.run(framework(), custom("t1", "e1"));
    rig.started();
    rig.subscribe("e1");
    rig.take_events();
    rig.master(MasterEvent::ShutdownExecutor { framework_id: "f1".into(), executor_id: "e1".into() });
    assert_eq!(rig.kinds(), ["SHUTDOWN"]);
    rig.run(framework(), custom("t2", "e1"));
    assert_eq!(rig.take_states(), [("t2".into(), Dropped, "REASON_EXECUTOR_TERMINATED".into())]);
    rig.wait(secs(4));
    assert_eq!(rig.destroyed, []);
    rig.wait(secs(1));
    assert_eq!(rig.destroyed, [rig.last_container()]);
    rig.resubscribe("e1", vec![], vec![]);
    assert_eq!(rig.kinds(), ["SHUTDOWN"]);
    rig.ended(rig.last_container(), 9);
    assert_eq!(rig.take_states().pop().unwrap(), ("t1".into(), Failed, "REASON_EXECUTOR_TERMINATED".into()));

    // At once, if it cannot hear.
    rig.run(framework(), custom("t3", "e2"));
    rig.master(MasterEvent::ShutdownExecutor { framework_id: "f1".into(), executor_id: "e2".into() });
    assert_eq!(rig.destroyed.last(), Some(&rig.last_container()));
}

#[test]
fn a_framework_that_is_shut_down_leaves_nothing_behind() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.run(framework(), command("t2"));
    rig.take_statuses();
    rig.master(MasterEvent::ShutdownFramework { framework_id: "f1".into() });
    let call = rig.reregisters();
    assert_eq!((call.tasks.len(), call.frameworks.len()), (0, 0));
    rig.register_answer();
    let containers: Vec<ContainerId> = rig.launches.iter().map(|launch| launch.run.container.clone()).collect();
    for container in containers {
        rig.ended(container, 9);
    }
    assert_eq!(rig.take_statuses(), []);
    assert!(rig.disk.is_idle());
    assert_eq!(rig.agent.frameworks().count(), 0);
}

#[test]
fn what_is_repeated_is_done_once_and_a_bad_id_is_refused() {
    let mut rig = Rig::registered();
    rig.run(framework(), command("t1"));
    rig.run(framework(), command("t1"));
    assert_eq!(rig.launches.len(), 1);
    for bad in ["..", "a/b", ""] {
        let run = MasterEvent::Run { framework_info: framework(), task: command(bad) };
        assert!(matches!(rig.try_input(Input::Master(Box::new(run))), Err(Rejected::Id(_))), "{bad:?}");
        let run = MasterEvent::Run { framework_info: framework(), task: custom("t2", bad) };
        assert!(matches!(rig.try_input(Input::Master(Box::new(run))), Err(Rejected::Id(_))), "{bad:?}");
    }
    assert_eq!((rig.launches.len(), rig.tasks().len()), (1, 1));
    let unregistered = Rig::new().try_input(Input::Master(Box::new(MasterEvent::Ping { seq: 1, connected: true })));
    assert_eq!(unregistered, Err(Rejected::NotRegistered));
    let mut call = |executor: &str, call| rig.call(executor, call);
    assert_eq!(call("t9", Call::Heartbeat), Err(Rejected::UnknownExecutor("f1".into(), "t9".into())));
    rig.subscribe("t1");
    let none = Call::Update(Box::new(apportion::TaskStatus::new("t1", Running)));
    assert_eq!(rig.call("t1", none), Err(Rejected::NoUuid("t1".into())));
}

#[test]
fn a_full_disk_fails_launches_and_holds_acknowledgements_back() {
    let mut rig = Rig::registered();
    rig.run(framework(), custom("t1", "e1"));
    rig.started();
    rig.subscribe("e1");
    rig.take_events();
    rig.disk_works = false;
    let running = rig.update("e1", "t1", Running);
    let finished = rig.update("e1", "t1", Finished);
    assert_eq!((rig.take_events(), rig.take_statuses()), (vec![], vec![]));
    for task in [custom("t2", "e1"), command("t3")] {
        rig.run(framework(), task);
    }
    let statuses = rig.take_statuses();
    assert_eq!(statuses.len(), 2);
    for status in statuses {
        assert_eq!((status.state, status.reason.as_deref()), (Failed, Some("REASON_CONTAINER_LAUNCH_FAILED")));
        assert!(status.message.unwrap().contains("/w/meta: No space left on device (os error 28); 0 KiB are free"));
    }
    assert_eq!(rig.launches.len(), 1);
    rig.wait_with_pings(secs(70));
    assert_eq!(rig.take_events(), []);
    rig.disk_works = true;
    rig.wait_with_pings(secs(30));
    let acknowledged = |uuid| Event::Acknowledged { task: "t1".into(), uuid };
    assert_eq!(rig.take_events(), [acknowledged(running), acknowledged(finished)]);
    let first = rig.take_states().into_iter().find(|(task, ..)| task == "t1").unwrap();
    assert_eq!(first.1, Running);
}

#[test]
fn executors_of_a_framework_that_does_not_checkpoint_are_not_stored() {
    let mut rig = Rig::registered();
    rig.records.clear();
    let framework = Framework::new("f1").role(Role::default());
    rig.run(framework, command("t1"));
    rig.started();
    rig.subscribe("t1");
    let uuid = rig.update("t1", "t1", Finished);
    rig.acknowledge("t1", uuid);
    assert_eq!((rig.records.len(), rig.launches[0].checkpoint), (0, false));
    let checkpoint = rig.launches[0].environment.iter().find(|(name, _)| name == "MESOS_CHECKPOINT");
    assert_eq!(checkpoint.unwrap().1, "0");
    rig.run(Framework::new("f1").role(Role::default()), command("t2"));
    rig.input(Input::Stop);
    assert_eq!(rig.exit, None);
    for launch in rig.launches.clone() {
        rig.ended(launch.run.container, 9);
    }
    assert_eq!(rig.exit, Some(Exit::Stopped));
}

#[test]
fn tasks_of_a_draining_agent_say_so_and_new_ones_are_dropped() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.take_statuses();
    rig.master(MasterEvent::Drain(Drain::default()));
    rig.restart();
    rig.register();
    assert!(rig.agent.drain().is_some(), "it survives a restart");
    rig.resubscribe("t1", vec![], vec![]);
    rig.run(framework(), command("t2"));
    let status = rig.take_statuses().pop().unwrap();
    assert_eq!((status.state, status.reason.as_deref()), (Dropped, Some("REASON_AGENT_DRAINING")));
    rig.acknowledge("t2", status.uuid.unwrap());
    rig.kill("t1");
    for state in [Killing, Killed] {
        let uuid = rig.update("t1", "t1", state);
        assert_eq!(rig.take_states(), [("t1".into(), state, "REASON_AGENT_DRAINING".into())]);
        rig.acknowledge("t1", uuid);
    }
    let container = rig.reattached[0].0.container.clone();
    rig.ended(container, 0);
    assert_eq!((rig.agent.drain(), rig.disk.is_idle()), (None, true));
}

#[test]
fn an_agent_without_tasks_is_drained_at_once_and_takes_tasks_when_it_is_reactivated() {
    let mut rig = Rig::registered();
    rig.master(MasterEvent::Drain(Drain::default()));
    assert_eq!(rig.agent.drain(), None);
    rig.run(framework(), command("t1")); // the master has reactivated it
    assert_eq!((rig.launches.len(), rig.take_statuses().len()), (1, 0));
}

#[test]
fn gone_and_unregistered_agents_end_all_and_give_up_their_id() {
    for is_gone in [true, false] {
        let mut rig = Rig::registered();
        rig.running("t1");
        rig.run(framework(), command("t2"));
        rig.take_events();
        rig.calls.clear();
        let exit = if is_gone {
            rig.master(MasterEvent::Shutdown { message: "gone".into() });
            Exit::ShutDown("gone".into())
        } else {
            rig.input(Input::Unregister);
            assert_eq!(rig.calls, [AgentCall::Unregister]);
            Exit::Unregistered
        };
        assert_eq!((rig.kinds(), &rig.exit), (vec!["SHUTDOWN"], &None));
        for launch in rig.launches.clone() {
            rig.ended(launch.run.container, 9);
        }
        assert_eq!(rig.exit, Some(exit));
        assert_eq!(rig.take_statuses(), []);
        rig.restart();
        rig.input(Input::MasterFound);
        rig.wait(secs(1));
        assert!(matches!(rig.calls.pop(), Some(AgentCall::Register(_))), "it has no id");
    }
}

#[test]
fn reservations_are_kept() {
    let mut rig = Rig::registered();
    let cpus: Resources = "cpus:2".parse().unwrap();
    let reserved = cpus.iter().map(|cpus| cpus.clone().reserved(Reservation::dynamic("web".parse().unwrap())));
    let operation = Operation::Reserve(Resources::try_from_iter(reserved).unwrap());
    let event = MasterEvent::ApplyOperation { framework_id: None, operation };
    rig.master(event);
    let after = rig.agent.agent().resources.clone();
    assert!(after.to_string().contains("cpus(web"), "{after}");
    rig.restart();
    assert_eq!(rig.agent.agent().resources, after);
    rig.register();
    assert_eq!(rig.reregisters().registration.agent_info.resources, after);
    rig.register_answer();

    // What cannot be kept is told.
    let operation = Operation::Unreserve("cpus:5".parse().unwrap());
    rig.master(MasterEvent::ApplyOperation { framework_id: None, operation });
    assert_eq!(rig.calls.pop(), Some(AgentCall::UpdateResources { resources: after }));
}

#[test]
fn a_persistent_volume_has_a_folder_that_goes_with_it_and_is_told_with_the_launch() {
    let mut rig = Rig::registered();
    let disk: Resources = "disk:100".parse().unwrap();
    let reserved = disk.iter().map(|disk| disk.clone().reserved(Reservation::dynamic("web".parse().unwrap())));
    let reserved = Resources::try_from_iter(reserved).unwrap();
    let volume = reserved.iter().map(|resource| {
        let mut kind = resource.kind().unwrap().clone();
        let mut disk = Disk::default().volume("v1");
        disk.volume = Some(Details::from_iter([("container_path", "data"), ("mode", "RW")]));
        kind.disk = Some(disk);
        resource.clone().with_kind(kind)
    });
    let volume = Resources::try_from_iter(volume).unwrap();
    let folder = std::path::PathBuf::from("/w/volumes/roles/web/v1");
    let apply = |rig: &mut Rig, operation| rig.master(MasterEvent::ApplyOperation { framework_id: None, operation });
    apply(&mut rig, Operation::Reserve(reserved));
    assert!(rig.discarded.is_empty());
    apply(&mut rig, Operation::Create(volume.clone()));
    assert_eq!(std::mem::take(&mut rig.discarded), [folder.clone()], "what another of that name has left");
    let mut task = command("t1");
    task.resources = task.resources.checked_add(&volume).unwrap();
    rig.run(framework(), task);
    let [found] = &rig.launches[0].volumes[..] else { panic!("{:?}", rig.launches[0].volumes) };
    assert_eq!((&found.folder, found.container_path.as_str(), found.read_only), (&folder, "data", false));
    apply(&mut rig, Operation::Destroy(volume));
    assert_eq!(rig.discarded, [folder]);
}

#[test]
fn containerizers_that_are_not_enabled_are_named() {
    let mut rig = Rig::registered();
    let container = Json::object([("type", "DOCKER")]);
    rig.run(framework(), command("t1").detail("container", container));
    let status = rig.take_statuses().pop().unwrap();
    assert_eq!((status.state, status.reason.as_deref()), (Failed, Some("REASON_CONTAINER_LAUNCH_FAILED")));
    assert!(status.message.unwrap().contains("(mesos)"));
    rig.acknowledge("t1", status.uuid.unwrap());
    let completed = rig.agent.completed_frameworks().next().unwrap();
    assert_eq!(completed.completed_executors[0].run.executor.as_str(), "t1");
    assert!(rig.disk.is_idle());
    let plain = Framework::new("f2").role(Role::default());
    rig.run(plain, Task::new("t1", Resources::new()).detail("executor", "no executor"));
    assert_eq!(rig.take_states().pop().unwrap().1, TaskState::Error);
}

#[test]
fn the_master_hears_of_every_executor_of_a_framework_that_has_ended() {
    let is_exit = |call: &AgentCall| matches!(call, AgentCall::ExecutorExited { status: -1, .. });
    let mut rig = Rig::registered();
    rig.run(framework(), custom("t1", "e1"));
    rig.container(ContainerEvent::Failed { message: "no such user".into() });
    assert!(rig.calls.iter().any(is_exit), "it could not be launched: {:?}", rig.calls);
    rig.calls.clear();
    rig.run(framework(), custom("t2", "e2"));
    rig.kill("t2");
    rig.ended(rig.last_container(), -1);
    assert!(rig.calls.iter().any(is_exit), "it was not needed: {:?}", rig.calls);
    rig.calls.clear();
    rig.master(MasterEvent::Drain(Drain::default()));
    rig.run(framework(), custom("t3", "e3"));
    assert!(rig.calls.iter().any(is_exit), "it was refused: {:?}", rig.calls);
}

#[test]
fn a_framework_that_could_not_be_stored_is_stored_with_its_next_task() {
    let mut rig = Rig::registered();
    rig.disk_works = false;
    rig.run(framework(), command("t1"));
    rig.acknowledge_all();
    rig.run(framework(), command("t2"));
    rig.disk_works = true;
    rig.running("t3");
    rig.acknowledge_all();
    rig.wait_with_pings(secs(30));
    let recovered = rig.disk.recovered();
    assert_eq!(recovered.frameworks.len(), 1);
    assert!(recovered.frameworks[0].framework.is_some());
    let executors: Vec<&str> = recovered.frameworks[0].runs.iter().map(|run| run.run.executor.as_str()).collect();
    assert_eq!(executors, ["t3"]);
}
