//! Agents that are killed and started again.

use crate::rig::{PROGRAM, Rig, command, is_running, of_executor, pid};
use rustix::process::Signal;
use serde_json::json;

#[tokio::test]
async fn a_checkpointed_task_outlives_a_crash_of_its_agent() {
    let mut rig = Rig::start(true, &["--executor_reregistration_timeout=20secs"]).await;
    rig.launch(command("stays", "echo $$; while [ ! -e end ]; do sleep 0.05; done; exit 3")).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let stays = pid(&rig, "stays").await;
    rig.kill_agent().await;
    assert!(is_running(stays));
    rig.start_agent(&["--executor_reregistration_timeout=20secs"]);
    let state = loop {
        let state = rig.ask("/state").await;
        if state["frameworks"][0]["executors"][0]["tasks"][0]["state"] == "TASK_RUNNING" {
            break state;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(is_running(stays), "{state}");
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
    std::fs::write(format!("{directory}/end"), "").unwrap();
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["message"], "Command exited with status 3", "{failed}");
    assert_eq!(failed["agent_id"], running["agent_id"], "the agent keeps its id");
}

#[tokio::test]
async fn what_happens_while_the_agent_is_away_is_told_once() {
    let flags = ["--executor_reregistration_timeout=20secs"];
    let mut rig = Rig::start(true, &flags).await;
    rig.launch(command("t", "while [ ! -e end ]; do sleep 0.05; done; exit 0")).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let state = rig.ask("/state").await;
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
    rig.kill_agent().await;
    std::fs::write(format!("{directory}/end"), "").unwrap();
    rig.start_agent(&flags);
    let finished = loop {
        let status = rig.unacknowledged().await;
        if status["state"] == "TASK_FINISHED" {
            break status;
        }
        // The agent was killed before the acknowledgement of this one was stored: it tells the same again.
        assert_eq!((&status["state"], &status["uuid"]), (&json!("TASK_RUNNING"), &running["uuid"]), "{status}");
        rig.acknowledge(&status).await;
    };
    // It is not acknowledged: another restart tells the same again.
    rig.kill_agent().await;
    rig.start_agent(&flags);
    let again = rig.status().await;
    assert_eq!((&again["state"], &again["uuid"]), (&json!("TASK_FINISHED"), &finished["uuid"]), "{again}");
}

#[tokio::test]
async fn without_checkpoints_tasks_end_with_their_agent() {
    let mut rig = Rig::start(false, &[]).await;
    rig.launch(command("goes", "echo $$; exec sleep 1000")).await;
    rig.status_of("TASK_RUNNING").await;
    let goes = pid(&rig, "goes").await;
    rig.kill_agent().await;
    let lost = rig.status_of("TASK_LOST").await;
    assert_eq!(lost["reason"], "REASON_AGENT_DISCONNECTED", "{lost}");
    ends(goes).await;
}

async fn ends(pid: u32) {
    for _ in 0..2000 {
        if !is_running(pid) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the task outlives its agent");
}

#[tokio::test]
async fn without_checkpoints_an_executor_that_goes_on_alone_is_ended_by_the_next_run() {
    let mut rig = Rig::start(false, &[]).await;
    let told = rig.work_dir().join("pid");
    let script = format!("echo $$ >{}; exec sleep 1000", told.display()); // it does not ask whether there is an agent
    rig.launch(of_executor("t1", "stubborn", &script)).await;
    let mut stubborn = None;
    for _ in 0..1000 {
        stubborn = std::fs::read_to_string(&told).ok().and_then(|text| text.trim().parse().ok());
        if stubborn.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let stubborn = stubborn.unwrap();
    rig.kill_agent().await;
    assert!(is_running(stubborn));
    rig.start_agent(&[]);
    ends(stubborn).await;
}

#[tokio::test]
async fn an_agent_that_is_stopped_leaves_checkpointed_tasks_alone() {
    let mut rig = Rig::start(true, &[]).await;
    rig.launch(command("stays", "echo $$; exec sleep 1000")).await;
    rig.status_of("TASK_RUNNING").await;
    let stays = pid(&rig, "stays").await;
    rig.agent.signal(Signal::TERM);
    assert_eq!(rig.agent.exit().await, Some(0));
    assert!(is_running(stays));
    rig.start_agent(&["--executor_reregistration_timeout=20secs"]);
    rig.registered().await;
    rig.kill("stays", Some(0)).await;
    rig.status_of("TASK_KILLED").await;
    assert!(!is_running(stays));
}

#[tokio::test]
async fn an_agent_whose_program_is_replaced_launches_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let [program, newer] = ["apportion", "newer"].map(|name| folder.path().join(name));
    for file in [&program, &newer] {
        std::fs::copy(PROGRAM, file).unwrap();
    }
    let mut rig = Rig::start_with(&program, false, &[]).await;
    std::fs::rename(newer, program).unwrap(); // as packages are upgraded
    rig.launch(command("t", "exit 0")).await;
    rig.status_of("TASK_FINISHED").await;
}

#[tokio::test]
async fn an_agent_that_has_changed_says_what_and_what_to_do() {
    let mut rig = Rig::start(true, &[]).await;
    rig.registered().await;
    rig.agent.signal(Signal::TERM);
    assert_eq!(rig.agent.exit().await, Some(0));
    let run = |flags: &[&str]| {
        let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_apportion"))
            .args(["agent", "--port=0", "--resources=cpus:4;mem:1024;disk:1024;ports:[31000-31009]"])
            .arg(format!("--master={}", rig.master))
            .arg(format!("--work_dir={}", rig.work_dir().display()))
            .args(flags)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let ends = (0..3_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            agent.try_wait().unwrap().is_some()
        });
        if !ends {
            agent.kill().unwrap();
        }
        let given = agent.wait_with_output().unwrap();
        (given.status.code(), String::from_utf8_lossy(&given.stderr).into_owned())
    };
    let (code, told) = run(&["--attributes=rack:r2"]);
    assert_eq!(code, Some(1), "{told}");
    for expected in ["r1", "r2", "rack", "--reconfiguration_policy", "rm -f", "meta/slaves/latest"] {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
}

#[tokio::test]
async fn after_a_boot_of_the_machine_no_executor_is_waited_for() {
    let mut rig = Rig::start(true, &[]).await;
    rig.launch(command("t", "echo $$; exec sleep 1000")).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let task = pid(&rig, "t").await;
    rig.kill_agent().await;
    let of_agent = rig.agent_record();
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&of_agent).unwrap()).unwrap();
    assert!(record["boot_id"].is_string(), "{record}");
    record["boot_id"] = json!("another boot");
    std::fs::write(&of_agent, record.to_string()).unwrap();
    // It would wait for very long if it thought that the executor may still run.
    rig.start_agent(&["--executor_reregistration_timeout=1hrs"]);
    let ended = rig.status_of("TASK_FAILED").await;
    assert_eq!(ended["reason"], "REASON_EXECUTOR_TERMINATED", "{ended}");
    assert_eq!(ended["agent_id"], running["agent_id"], "the old id is tried");
    ends(task).await; // the machine has not really booted
}

/// It takes 10 s, the time after which a status is told again.
#[tokio::test]
async fn a_status_is_told_again_until_it_is_acknowledged_and_the_next_one_waits() {
    let flags = ["--executor_reregistration_timeout=20secs"];
    let mut rig = Rig::start(true, &flags).await;
    rig.launch(command("t", "exit 0")).await;
    let starting = rig.unacknowledged().await;
    assert_eq!(starting["state"], "TASK_STARTING", "{starting}");
    let again = rig.unacknowledged().await;
    assert_eq!((&again["state"], &again["uuid"]), (&json!("TASK_STARTING"), &starting["uuid"]), "{again}");
    rig.kill_agent().await;
    rig.start_agent(&flags);
    let after_restart = rig.unacknowledged().await;
    assert_eq!((&after_restart["state"], &after_restart["uuid"]), (&json!("TASK_STARTING"), &starting["uuid"]));
    rig.acknowledge(&after_restart).await;
    assert_eq!(rig.status().await["state"], "TASK_RUNNING");
    assert_eq!(rig.status().await["state"], "TASK_FINISHED");
}
