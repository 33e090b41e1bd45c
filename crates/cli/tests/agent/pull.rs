//! The wait for an image, with an engine that does what the test says.

use crate::fake::{Answer, Call, Fake};
use crate::rig::{Rig, command};
use crate::wire::bounded;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A gate, at which pulls wait until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let is_closed = |is_open: &mut bool| !*is_open;
        let (open, timeout) =
            self.opened.wait_timeout_while(self.is_open.lock().unwrap(), Duration::from_secs(60), is_closed).unwrap();
        assert!(*open && !timeout.timed_out(), "nobody opens the gate");
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// An engine that has no image until a pull has ended, which waits at the gate; containers end with 0 as soon as they start.
fn engine(folder: &std::path::Path, gate: Arc<Gate>) -> Fake {
    let has_image = AtomicBool::new(false);
    Fake::start(folder, move |call: &Call| match call {
        call if call.is("GET", "/images/*/json") && has_image.load(Ordering::SeqCst) => {
            Answer::ok(json!({"Id": "sha256:1"}))
        }
        call if call.is("GET", "/images/*/json") => Answer::error(404, "no such image"),
        call if call.is("POST", "/images/create") => {
            gate.wait();
            has_image.store(true, Ordering::SeqCst);
            Answer::Stream(b"{\"status\":\"Done\"}\r\n".to_vec())
        }
        call if call.is("POST", "/containers/create") => Answer::Json(201, json!({"Id": "abc", "Warnings": []})),
        call if call.is("POST", "/containers/*/wait") => Answer::ok(json!({"StatusCode": 0})),
        call if call.is("GET", "/containers/*/logs") => Answer::Stream(Vec::new()),
        call if call.is("GET", "/containers/*/json") => {
            Answer::ok(json!({"Id": "abc", "State": {"Running": false, "ExitCode": 0, "OOMKilled": false}}))
        }
        call if call.is("GET", "/containers/json") => Answer::ok(json!([])),
        call if call.method == "POST" || call.method == "DELETE" => Answer::Json(204, Json::Null),
        _ => Answer::error(404, "page not found"),
    })
}

fn task(id: &str) -> Json {
    let mut task = command(id, "true");
    task["container"] = json!({"type": "DOCKER", "docker": {"image": "app"}});
    task
}

fn flags(engine: &Fake, timeout: &str) -> [String; 3] {
    [
        "--containerizers=docker,mesos".to_owned(),
        format!("--docker_socket={}", engine.socket().display()),
        format!("--executor_registration_timeout={timeout}"),
    ]
}

#[tokio::test]
async fn a_pull_that_takes_too_long_fails_the_task_and_goes_on_for_the_next_one() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Arc::<Gate>::default());
    let engine = engine(folder.path(), gate.clone());
    let flags = flags(&engine, "2secs");
    let mut rig = Rig::start(false, &flags.each_ref().map(String::as_str)).await;
    rig.launch(task("late")).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{failed}");
    let message = failed["message"].as_str().unwrap();
    for expected in ["pulling app", "2secs", "--executor_registration_timeout"] {
        assert!(message.contains(expected), "{expected} is not in {message}");
    }
    assert_eq!(engine.calls("POST", "/containers/create").len(), 0);
    gate.open(); // the pull ends, although nobody needs the image
    let pulled = async {
        let client = engine.connect().await;
        while !client.has_image("app").await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    bounded("the end of the pull", pulled).await;
    let pulls = engine.calls("POST", "/images/create").len();
    rig.launch(task("next")).await;
    rig.status_of("TASK_FINISHED").await;
    assert_eq!(engine.calls("POST", "/images/create").len(), pulls, "the image was there");
}

#[tokio::test]
async fn a_kill_does_not_wait_for_a_pull() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Arc::<Gate>::default());
    let engine = engine(folder.path(), gate.clone());
    let flags = flags(&engine, "1mins");
    let mut rig = Rig::start(false, &flags.each_ref().map(String::as_str)).await;
    rig.launch(task("t")).await;
    let begun = async {
        while engine.calls("POST", "/images/create").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    bounded("a pull", begun).await;
    rig.kill("t", None).await;
    let killed = rig.status_of("TASK_KILLED").await;
    assert_eq!(killed["reason"], "REASON_TASK_KILLED_DURING_LAUNCH", "{killed}");
    gate.open(); // only now
}
