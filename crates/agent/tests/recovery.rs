//! The agent's machine after a restart: what was stored goes on, and what cannot go on is told and ended.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that goes wrong ends")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "lists are compared with lists")]
#![allow(dead_code, reason = "the rig serves several tests")]

mod rig;

use TaskState::{Dropped, Failed, Finished, Killed, Running};
use apportion::{Agent, TaskState};
use apportion_agent::machine::{
    AgentMachine, ContainerEvent, Difference, Exit, Input, Process, ReconfigurationPolicy, Recover, Recovered,
    RecoveredRun,
};
use apportion_http::internal::AgentCall;
use rig::{Rig, command, custom, framework, secs, settings};

const PROCESS: Process = Process { pid: 100, started: 7 };

#[test]
fn an_executor_that_subscribes_again_keeps_its_tasks() {
    let mut rig = Rig::registered();
    rig.running("t1");
    let container = rig.last_container();
    rig.restart();
    assert_eq!(rig.reattached.len(), 1);
    let (run, process) = rig.reattached[0].clone();
    assert_eq!((&run.container, process), (&container, Some(PROCESS)));
    rig.input(Input::Container(container.clone(), ContainerEvent::Started(PROCESS)));

    // What it could not tell meanwhile comes with the subscription.
    let running = rig.status("t1", Running);
    let finished = rig.status("t1", Finished);
    rig.resubscribe("t1", vec![], vec![running.clone(), finished.clone()]);
    assert_eq!(rig.kinds(), ["SUBSCRIBED", "ACKNOWLEDGED", "ACKNOWLEDGED"]);
    rig.register();
    for status in [running, finished] {
        let sent = rig.take_statuses();
        assert_eq!((sent.len(), sent[0].uuid), (1, status.uuid));
        rig.acknowledge("t1", status.uuid.unwrap());
    }
    rig.wait(secs(5));
    assert_eq!(rig.destroyed, [], "it has subscribed in time");
    rig.ended(container, 0);
    assert!(rig.disk.is_idle());
}

#[test]
fn an_executor_that_does_not_subscribe_again_is_killed() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.restart();
    let container = rig.reattached[0].0.container.clone();
    rig.input(Input::Container(container.clone(), ContainerEvent::Started(PROCESS)));
    rig.register();
    rig.wait(secs(3));
    assert_eq!(rig.destroyed, [container.clone()]);
    rig.ended(container, 9);
    assert_eq!(rig.take_states(), [("t1".into(), Failed, "REASON_EXECUTOR_REREGISTRATION_TIMEOUT".into())]);
}

#[test]
fn the_time_to_subscribe_again_may_be_long_and_registration_does_not_wait_for_it() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.settings.executor_reregistration_timeout = secs(60);
    rig.restart();
    rig.register();
    assert_eq!(rig.reregisters().tasks[0].latest_state, Running);
    rig.register_answer();
    rig.wait_with_pings(secs(30));
    rig.resubscribe("t1", vec![], vec![]);
    rig.wait_with_pings(secs(60));
    assert_eq!(rig.destroyed, []);
}

#[test]
fn tasks_that_were_stored_and_not_handed_over_are_dropped() {
    let mut rig = Rig::registered();
    rig.run(framework(), custom("t1", "e1"));
    rig.started();
    rig.subscribe("e1");
    let uuid = rig.update("e1", "t1", Running);
    rig.acknowledge("t1", uuid);
    rig.run(framework(), custom("t2", "e1")); // handed over: the executor will list it
    rig.run(framework(), custom("t3", "e1")); // handed over, and lost on the way
    rig.run(framework(), command("t4")); // its executor was never started
    rig.restart();
    rig.register();
    assert_eq!(rig.take_states(), []);
    let containers: Vec<_> = rig.reattached.iter().map(|(run, process)| (run.clone(), *process)).collect();
    let (never, _) = containers.iter().find(|(_, process)| process.is_none()).unwrap();
    rig.input(Input::Container(never.container.clone(), ContainerEvent::Ended { status: None, limitation: None }));
    rig.resubscribe("e1", vec![custom("t2", "e1")], vec![]);
    let mut states = rig.take_states();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    let reason = "REASON_AGENT_RESTARTED".to_owned();
    assert_eq!(states, [("t3".into(), Dropped, reason.clone()), ("t4".into(), Dropped, reason)]);
    assert_eq!(rig.kinds(), ["SUBSCRIBED"]);
    rig.kill("t2");
    assert_eq!(rig.kinds(), ["KILL"]);
}

#[test]
fn executors_that_ended_meanwhile_fail_their_tasks() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.run(framework(), custom("t2", "e1"));
    rig.started();
    rig.subscribe("e1");
    rig.update("e1", "t2", Running);
    rig.restart();
    for (run, _) in rig.reattached.clone() {
        let event = ContainerEvent::Ended { status: None, limitation: None };
        rig.input(Input::Container(run.container, event));
    }
    rig.register();
    rig.acknowledge_all();
    assert!(rig.disk.is_idle(), "{:?}", rig.disk);
}

#[test]
fn after_a_boot_all_executors_are_gone_and_the_id_is_tried() {
    let mut rig = Rig::registered();
    rig.running("t1");
    let mut other = rig.settings.clone();
    other.boot_id = "boot-2".into();
    let disk = rig.disk.clone();
    rig.restart_as(other.clone());
    let [(run, process)] = &rig.reattached[..] else { panic!("{:?}", rig.reattached) };
    assert_eq!(
        (process, &rig.destroyed[..]),
        (&None, &[run.container.clone()][..]),
        "nothing is left of it, whatever has its number"
    );
    let container = run.container.clone();
    rig.ended(container, 9);
    rig.register();
    assert_eq!(rig.take_states(), [("t1".into(), Failed, "REASON_EXECUTOR_TERMINATED".into())]);

    // An agent that has changed starts anew then.
    other.agent = Agent::new("", "cpus:1".parse().unwrap());
    let mut rig = Rig::with(other, disk);
    rig.input(Input::MasterFound);
    assert!(matches!(rig.registration(), AgentCall::Register(_)));
    assert_eq!((&rig.reattached[..], rig.strays.len()), (&[][..], 1));
}

#[test]
fn what_has_changed_is_named_with_both_remedies() {
    let disk = Rig::registered().disk;
    let changed = |resources: &str, attributes: &[&str]| {
        let mut settings = settings();
        let agent = Agent::new("", resources.parse().unwrap()).hostname("h1");
        settings.agent = attributes.iter().fold(agent, |agent, name| agent.attribute(*name, "x"));
        settings
    };
    let start = |settings| AgentMachine::start(apportion::Time::ZERO, settings, disk.recovered());
    let error = start(changed("cpus:4;mem:8192;disk:1000", &["rack"])).unwrap_err();
    assert_eq!(
        error.differences,
        [
            Difference { key: "attributes/rack".into(), before: String::new(), now: "x".into() },
            Difference { key: "resources/cpus".into(), before: "cpus:8".into(), now: "cpus:4".into() },
        ]
    );
    let text = error.to_string();
    assert!(text.contains("resources/cpus was \"cpus:8\" and is \"cpus:4\""), "{text}");
    assert!(text.contains("rm -f /w/meta/slaves/latest") && text.contains("--reconfiguration_policy=equal"), "{text}");

    // Amounts that were found do not count as changed.
    let mut found = changed("cpus:4;mem:8192;disk:500", &[]);
    found.found_resources = vec!["cpus".into(), "disk".into()];
    assert_eq!(start(found).unwrap().agent().resources, "cpus:4;mem:8192;disk:500".parse().unwrap());

    let mut additive = changed("cpus:16;mem:8192;disk:1000;gpus:1", &["rack"]);
    assert!(start(additive.clone()).is_err());
    additive.reconfiguration_policy = ReconfigurationPolicy::Additive;
    assert_eq!(start(additive).unwrap().agent().id.as_str(), "a1");
    let mut less = changed("cpus:16;mem:8192", &[]);
    less.reconfiguration_policy = ReconfigurationPolicy::Additive;
    assert_eq!(start(less).unwrap_err().differences.len(), 1);
}

#[test]
fn what_is_broken_is_ended_and_told_and_the_rest_kept() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.running("t2");
    let mut recovered: Recovered = rig.disk.recovered();
    let runs: &mut Vec<RecoveredRun> = &mut recovered.frameworks[0].runs;
    runs.sort_by(|a, b| a.run.executor.cmp(&b.run.executor));
    runs[0].is_broken = true;
    runs[0].process = None;
    let broken = runs[0].run.container.clone();
    rig.agent = AgentMachine::start(rig.at, rig.settings.clone(), recovered).unwrap();
    rig.register();
    assert_eq!(rig.destroyed, [broken.clone()]);
    rig.resubscribe("t2", vec![], vec![]);
    rig.ended(broken, 9);
    assert_eq!(rig.take_states().pop().unwrap(), ("t1".into(), Failed, "REASON_EXECUTOR_TERMINATED".into()));
    assert_eq!(rig.tasks().len(), 2);

    // Without its file, a framework's executors are ended, and the master finds their tasks missing.
    let mut recovered = rig.disk.recovered();
    recovered.frameworks[0].framework = None;
    let runs = recovered.frameworks[0].runs.len();
    rig.agent = AgentMachine::start(rig.at, rig.settings.clone(), recovered).unwrap();
    rig.register();
    assert_eq!((rig.strays.len(), rig.tasks().len()), (runs, 0));
    for stray in rig.strays.clone() {
        rig.ended(stray.container, 9);
    }
    assert!(rig.disk.recovered().frameworks[0].runs.is_empty());

    // Without the agent's own file it keeps its id.
    let mut recovered = rig.disk.recovered();
    recovered.agent = None;
    rig.agent = AgentMachine::start(rig.at, rig.settings.clone(), recovered).unwrap();
    assert_eq!(rig.agent.agent().id.as_str(), "a1");
}

#[test]
fn an_agent_without_latest_gets_a_new_id_and_ends_what_runs_of_the_old_one() {
    let mut rig = Rig::registered();
    rig.running("t1");
    let run = rig.launches[0].run.clone();
    rig.disk.write(&apportion_agent::machine::Record::ForgetAgent);
    rig.restart();
    assert_eq!(rig.strays, [run.clone()]);
    rig.input(Input::MasterFound);
    assert!(matches!(rig.registration(), AgentCall::Register(_)));
    rig.ended(run.container, 9);
    assert!(rig.disk.is_idle());
}

#[test]
fn cleanup_ends_all_executors_and_the_agent() {
    let mut rig = Rig::registered();
    rig.running("t1");
    rig.settings.recover = Recover::Cleanup;
    rig.restart();
    let container = rig.reattached[0].0.container.clone();
    assert_eq!((&rig.destroyed[..], &rig.exit), (&[container.clone()][..], &None));
    rig.ended(container, 9);
    assert_eq!(rig.exit, Some(Exit::CleanedUp));
    rig.restart();
    assert_eq!(rig.exit, Some(Exit::CleanedUp), "there is nothing to end");
}

#[test]
fn a_status_that_is_not_acknowledged_survives_restarts_with_its_uuid() {
    let mut rig = Rig::registered();
    rig.running("t1");
    let uuid = rig.update("t1", "t1", Killed);
    let container = rig.last_container();
    rig.ended(container, 0);
    for _ in 0..3 {
        rig.restart();
        let event = ContainerEvent::Ended { status: None, limitation: None };
        let container = rig.reattached[0].0.container.clone();
        rig.input(Input::Container(container, event));
        rig.register();
        let statuses = rig.take_statuses();
        assert_eq!((statuses.len(), statuses[0].uuid, statuses[0].state), (1, Some(uuid), Killed));
    }
    rig.acknowledge("t1", uuid);
    assert!(rig.disk.is_idle());
}
