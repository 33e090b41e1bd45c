//! Calls to an engine that works, hangs, fails, and is gone.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apportion_exec::docker::{Container, Ended, EngineError, LoginError, Logins, Place};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fake::{Answer, Call, Fake, connect, state};

const NAME: &str = "mesos-c1";
const INSPECT: &str = "/containers/*/json";

/// Bounds a wait of a test.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("within 20 s")
}

fn container(sandbox: &Path, docker: Value) -> Container {
    let mut info = json!({"container": {"type": "DOCKER", "docker": {"image": "host:5000/app:1"}}});
    for (key, value) in docker.as_object().into_iter().flatten() {
        info["container"]["docker"][key] = value.clone();
    }
    Container::of(&info, &Place::new("c1", "agent-1", sandbox)).unwrap()
}

/// An engine that has all images and whose container ends with 0 as soon as it starts.
fn healthy(call: &Call) -> Answer {
    match call {
        call if call.is("GET", "/images/*/*/json") => Answer::ok(json!({"Id": "sha256:1"})),
        call if call.is("POST", "/images/create") => {
            Answer::Stream(b"{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\"}\r\n".to_vec())
        }
        call if call.is("POST", "/containers/create") => Answer::Json(201, json!({"Id": "abc", "Warnings": []})),
        call if call.is("POST", "/containers/*/wait") => Answer::ok(json!({"StatusCode": 0})),
        call if call.is("GET", "/containers/*/logs") => Answer::Stream(Vec::new()),
        call if call.is("GET", INSPECT) => state(false, 0, false),
        call if call.method == "POST" || call.method == "DELETE" => Answer::Json(204, Value::Null),
        _ => Answer::error(404, "page not found"),
    }
}

fn ended(exit_code: impl Into<Option<i64>>, out_of_memory: bool) -> (Option<i64>, bool) {
    (exit_code.into(), out_of_memory)
}

fn told(ended: &Ended) -> (Option<i64>, bool) {
    (ended.exit_code, ended.out_of_memory)
}

#[tokio::test]
async fn launch_pulls_only_what_is_missing() {
    let sandbox = tempfile::tempdir().unwrap();
    for (present, force, pulled) in [(true, false, false), (false, false, true), (true, true, true)] {
        let engine = Fake::start(sandbox.path(), move |call| match call {
            call if call.is("GET", "/images/*/*/json") && !present => {
                Answer::error(404, "No such image: host:5000/app:1")
            }
            call => healthy(call),
        });
        let container = container(sandbox.path(), json!({"force_pull_image": force}));
        let running = soon(engine.connect().await.launch(&container, &Logins::default())).await.unwrap();
        assert_eq!(told(&soon(running.wait()).await), ended(0, false));
        let pulls = engine.calls("POST", "/images/create");
        assert_eq!(pulls.len(), usize::from(pulled), "present {present}, force {force}");
        for pull in pulls {
            assert_eq!(pull.target, "/images/create?fromImage=host%3A5000%2Fapp&tag=1&platform=");
            assert_eq!(pull.header("x-registry-auth"), None);
        }
        let create = &engine.calls("POST", "/containers/create")[0];
        assert_eq!(
            (create.target.as_str(), &create.body),
            ("/containers/create?name=mesos-c1&platform=", &container.body)
        );
        assert_eq!(engine.calls("POST", "/containers/mesos-c1/start").len(), 1);
    }
}

#[tokio::test]
async fn login_of_the_registry_goes_with_the_pull() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), healthy);
    let client = engine.connect().await;
    let auth = BASE64_STANDARD.encode("me:p>?ß:word");
    let config = json!({"auths": {"https://host:5000/v2/": {"auth": auth}, "other": {"auth": "eDp5"}}});
    std::fs::create_dir(sandbox.path().join(".docker")).unwrap();
    std::fs::write(sandbox.path().join(".docker/config.json"), config.to_string()).unwrap();
    let logins = Logins::in_sandbox(sandbox.path()).unwrap().unwrap();
    assert!(!format!("{logins:?}").contains(&auth));
    soon(client.pull("host:5000/app:1", &logins)).await.unwrap();
    soon(client.pull("nginx", &logins)).await.unwrap();
    let pulls = engine.calls("POST", "/images/create");
    let header = BASE64_URL_SAFE.decode(pulls[0].header("x-registry-auth").unwrap()).unwrap();
    let expected = json!({"serveraddress": "https://host:5000/v2/", "username": "me", "password": "p>?ß:word"});
    assert_eq!(serde_json::from_slice::<Value>(&header).unwrap(), expected);
    assert_eq!(pulls[1].header("x-registry-auth"), None, "another registry hears nothing");
    assert_eq!(pulls[1].target, "/images/create?fromImage=nginx&tag=latest&platform=");
}

#[tokio::test]
async fn login_of_a_helper_is_refused_by_name() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), healthy);
    let client = engine.connect().await;
    for (config, registry) in [
        (json!({"credsStore": "desktop", "auths": {"host:5000": {}}}), "host:5000"),
        (json!({"credHelpers": {"host:5000": "desktop"}}), "host:5000"),
    ] {
        let logins = Logins::parse(&config.to_string()).unwrap();
        let refused = soon(client.pull("host:5000/app", &logins)).await.unwrap_err();
        let helper = LoginError::Helper { registry: registry.into(), helper: "desktop".into() };
        assert_eq!(refused, EngineError::Login(helper));
    }
    let legacy = Logins::parse(r#"{"https://index.docker.io/v1/": {"username": "u", "password": "p"}}"#).unwrap();
    soon(client.pull("library/nginx:1", &legacy)).await.unwrap();
    assert!(engine.calls("POST", "/images/create")[0].header("x-registry-auth").is_some());
    assert_eq!(Logins::parse("[]"), Err(LoginError::NoObject));
    assert_eq!(Logins::in_sandbox(sandbox.path()), Ok(None));
}

#[tokio::test]
async fn failures_carry_the_engines_words_and_the_socket() {
    let sandbox = tempfile::tempdir().unwrap();
    let gone = connect(&sandbox.path().join("docker.sock")).await.unwrap_err();
    assert!(matches!(gone, EngineError::Absent { .. }) && gone.is_passing(), "{gone:?}");
    assert!(gone.to_string().contains(&*sandbox.path().join("docker.sock").to_string_lossy()), "{gone}");

    let engine = Fake::start(sandbox.path(), |call| {
        match call {
        call if call.is("GET", "/images/*/*/json") => Answer::error(404, "No such image"),
        call if call.is("POST", "/images/create") => Answer::Stream(
            b"{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}\r\n".to_vec(),
        ),
        call => healthy(call),
    }
    });
    let client = engine.connect().await;
    let refused = soon(client.launch(&container(sandbox.path(), json!({})), &Logins::default())).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.ends_with("cannot pull the image host:5000/app:1: manifest unknown"), "{text}");
    assert!(text.contains(&*engine.socket().to_string_lossy()), "{text}");
    drop(engine);
    let gone = soon(client.inspect(NAME)).await.unwrap_err();
    assert!(matches!(gone, EngineError::Absent { .. }), "{gone:?}");
}

#[tokio::test]
async fn container_that_cannot_start_is_removed() {
    let sandbox = tempfile::tempdir().unwrap();
    let (removed, mut removals) = tokio::sync::mpsc::unbounded_channel();
    let engine = Fake::start(sandbox.path(), move |call| {
        if call.is("DELETE", "/containers/mesos-c1") {
            removed.send(()).unwrap();
        }
        match call {
            call if call.is("POST", "/containers/*/start") => Answer::error(400, "invalid mount config: no such path"),
            call => healthy(call),
        }
    });
    let refused = soon(engine.connect().await.launch(&container(sandbox.path(), json!({})), &Logins::default()))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().ends_with("cannot start the container mesos-c1: invalid mount config: no such path"),
        "{refused}"
    );
    assert!(!refused.is_passing());
    soon(removals.recv()).await.unwrap();
}

#[tokio::test]
async fn name_that_is_taken_is_left_alone() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), |call| match call {
        call if call.is("POST", "/containers/create") => {
            Answer::error(409, "Conflict. The container name is already in use")
        }
        call => healthy(call),
    });
    let client = engine.connect().await;
    soon(client.launch(&container(sandbox.path(), json!({})), &Logins::default())).await.unwrap_err();
    soon(client.inspect(NAME)).await.unwrap(); // whatever the background did, it did before
    assert_eq!(engine.calls("DELETE", "/containers/mesos-c1").len(), 0);
    assert_eq!(engine.calls("POST", "/containers/mesos-c1/kill").len(), 0);
}

#[tokio::test]
async fn launch_that_is_dropped_leaves_nothing() {
    let sandbox = tempfile::tempdir().unwrap();
    let (seen, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let engine = Fake::start(sandbox.path(), move |call| {
        seen.send(call.clone()).unwrap();
        match call {
            call if call.is("POST", "/containers/*/start") => Answer::Hang,
            call => healthy(call),
        }
    });
    let client = engine.connect().await;
    let wanted = container(sandbox.path(), json!({}));
    let launch = tokio::spawn(async move { client.launch(&wanted, &Logins::default()).await.map(drop) });
    let reach = async |calls: &mut tokio::sync::mpsc::UnboundedReceiver<Call>, method: &str, path: &str| {
        while !calls.recv().await.unwrap().is(method, path) {}
    };
    soon(reach(&mut calls, "POST", "/containers/mesos-c1/start")).await;
    launch.abort();
    soon(reach(&mut calls, "DELETE", "/containers/mesos-c1")).await;
}

#[tokio::test]
async fn engine_that_hangs_holds_up_one_container() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), |call| match call {
        call if call.is("GET", "/containers/hangs/json") => Answer::Hang,
        call if call.is("GET", "/containers/fails/json") => Answer::error(500, "driver failed"),
        call => healthy(call),
    });
    let client = engine.connect().await;
    let (hangs, fails, works) =
        soon(async { tokio::join!(client.inspect("hangs"), client.inspect("fails"), client.inspect("works")) }).await;
    assert!(matches!(&hangs, Err(error @ EngineError::Late { .. }) if error.is_passing()), "{hangs:?}");
    assert!(matches!(&fails, Err(error @ EngineError::Refused { status: 500, .. }) if error.is_passing()), "{fails:?}");
    assert!(!works.unwrap().running);
}

#[tokio::test]
async fn memory_is_the_cause_only_if_the_engine_says_so() {
    let sandbox = tempfile::tempdir().unwrap();
    for flag in [true, false] {
        let engine = Fake::start(sandbox.path(), move |call| match call {
            call if call.is("GET", INSPECT) => state(false, 137, flag),
            call => healthy(call),
        });
        let running = engine.connect().await.running(NAME);
        assert_eq!(told(&soon(running.wait()).await), ended(137, flag));
    }
}

#[tokio::test]
async fn errors_end_no_wait_and_an_unknown_container_has_ended() {
    let sandbox = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let engine = Fake::start(sandbox.path(), move |call| match call {
        call if call.is("GET", INSPECT) => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::error(500, "busy"),
            1 => Answer::Close,
            2 | 3 => state(true, 0, false),
            4 => Answer::Hang,
            _ => Answer::error(404, "No such container: mesos-c1"),
        },
        call if call.is("POST", "/containers/*/wait") && asked.load(Ordering::SeqCst) == 3 => {
            Answer::error(503, "later")
        }
        call if call.is("POST", "/containers/*/wait") => Answer::Cut(Vec::new()),
        call => healthy(call),
    });
    let running = engine.connect().await.running(NAME);
    assert_eq!(told(&soon(running.wait()).await), ended(None, false));
    assert_eq!(count.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn engine_that_is_stopped_and_back_ends_no_container() {
    let sandbox = tempfile::tempdir().unwrap();
    let (seen, mut waits) = tokio::sync::mpsc::unbounded_channel();
    let engine = Fake::start(sandbox.path(), move |call| match call {
        call if call.is("GET", INSPECT) => state(true, 0, false),
        call if call.is("POST", "/containers/*/wait") => {
            seen.send(()).unwrap();
            Answer::Hang
        }
        call => healthy(call),
    });
    let running = engine.connect().await.running(NAME);
    let wait = tokio::spawn(async move { running.wait().await });
    soon(waits.recv()).await.unwrap();
    drop(engine);
    let _back = Fake::start(sandbox.path(), |call| match call {
        call if call.is("GET", INSPECT) => state(false, 5, false),
        call => healthy(call),
    });
    assert_eq!(told(&soon(wait).await.unwrap()), ended(5, false));
}

/// An engine whose container runs until it was killed twice, and that answers to a stop as it is told.
fn stubborn(sandbox: &Path, stop: impl Fn() -> Answer + Send + Sync + 'static) -> Fake {
    let kills = AtomicUsize::new(0);
    Fake::start(sandbox, move |call| match call {
        call if call.is("GET", INSPECT) => state(kills.load(Ordering::SeqCst) < 2, 137, false),
        call if call.is("POST", "/containers/*/stop") => stop(),
        call if call.is("POST", "/containers/*/kill") => match kills.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::error(500, "tried to kill container, but did not receive an exit event"),
            _ => Answer::Json(204, Value::Null),
        },
        call => healthy(call),
    })
}

#[tokio::test]
async fn stop_that_fails_or_is_late_is_repeated_as_kill() {
    let sandbox = tempfile::tempdir().unwrap();
    let answers: [fn() -> Answer; 3] =
        [|| Answer::error(500, "no"), || Answer::Hang, || Answer::Json(204, Value::Null)];
    for answer in answers {
        let engine = stubborn(sandbox.path(), answer);
        let running = engine.connect().await.running(NAME);
        soon(running.stop(Duration::from_millis(300))).await;
        assert_eq!(engine.calls("POST", "/containers/mesos-c1/stop")[0].target, "/containers/mesos-c1/stop?t=1");
        assert_eq!(engine.calls("POST", "/containers/mesos-c1/kill").len(), 2);
    }
    let engine = stubborn(sandbox.path(), || Answer::Hang);
    soon(engine.connect().await.running(NAME).stop(Duration::ZERO)).await;
    assert_eq!(engine.calls("POST", "/containers/mesos-c1/stop").len(), 0, "no grace, no stop");
}

#[tokio::test]
async fn stop_within_the_grace_kills_nothing() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), healthy);
    soon(engine.connect().await.running(NAME).stop(Duration::from_secs(60))).await;
    assert_eq!(engine.order(), ["POST /containers/mesos-c1/stop", "GET /containers/mesos-c1/json"]);
}

#[tokio::test]
async fn only_containers_with_our_label_are_ours() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), |call| match call {
        call if call.is("GET", "/containers/json") => Answer::ok(json!([
            {"Id": "1", "Names": ["/mesos-b"], "State": "exited", "Labels": {"apportion.agent": "agent-1", "apportion.container": "b", "x": "y"}},
            {"Id": "2", "Names": ["/mesos-a"], "State": "running", "Labels": {"apportion.agent": "agent-1", "apportion.container": "a"}},
            {"Id": "3", "Names": ["/mesos-c"], "State": "running", "Labels": {"apportion.agent": "agent-2", "apportion.container": "c"}},
            {"Id": "4", "Names": ["/mesos-d"], "State": "running", "Labels": {}},
        ])),
        call => healthy(call),
    });
    let found = soon(engine.connect().await.containers("agent-1")).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|found| (found.name.as_str(), found.container_id.as_str(), found.running)).collect();
    assert_eq!(told, [("mesos-a", "a", true), ("mesos-b", "b", false)]);
    assert_eq!(found[1].labels["x"], "y");
    let asked = &engine.calls("GET", "/containers/json")[0].target;
    assert!(asked.contains("all=true") && asked.contains("apportion.agent%3Dagent-1"), "{asked}");
}

#[tokio::test]
async fn inspection_tells_addresses_and_times() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), |call| match call {
        call if call.is("GET", INSPECT) => Answer::ok(json!({
            "State": {"Status": "running", "Running": true, "Pid": 42, "StartedAt": "2026-11-27T23:12:29.5Z", "FinishedAt": "0001-01-01T00:00:00Z"},
            "NetworkSettings": {"Networks": {
                "red": {"IPAddress": "172.18.0.3", "GlobalIPv6Address": ""},
                "blue": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"},
            }},
        })),
        call => healthy(call),
    });
    let found = soon(engine.connect().await.inspect(NAME)).await.unwrap();
    let addresses: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["172.17.0.2", "fd00::2", "172.18.0.3"]);
    assert_eq!((found.running, found.pid), (true, Some(42)));
    assert_eq!(found.started_at, Some(Duration::from_millis(1_795_821_149_500)));
    assert_eq!(found.finished_at, None);
}

#[tokio::test]
async fn hardware_address_goes_where_the_engine_reads_it() {
    let sandbox = tempfile::tempdir().unwrap();
    let wanted = container(
        sandbox.path(),
        json!({"network": "BRIDGE", "parameters": [{"key": "mac-address", "value": "02:42:ac:11:00:02"}]}),
    );
    for (version, top, network) in [
        ("1.41", json!("02:42:ac:11:00:02"), json!(null)),
        ("1.44", json!(null), json!({"MacAddress": "02:42:ac:11:00:02"})),
    ] {
        let engine = Fake::start(sandbox.path(), move |call| match call {
            call if call.is("GET", "/version") => Answer::ok(json!({"ApiVersion": version})),
            call => healthy(call),
        });
        soon(engine.connect().await.launch(&wanted, &Logins::default())).await.unwrap();
        let body = &engine.calls("POST", "/containers/create")[0].body;
        assert_eq!(
            (&body["MacAddress"], &body["NetworkingConfig"]["EndpointsConfig"]["bridge"]),
            (&top, &network),
            "{version}"
        );
    }
}

#[tokio::test]
async fn command_in_a_container_tells_its_exit_code() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), |call| match call {
        call if call.is("POST", "/containers/mesos-c1/exec") => Answer::Json(201, json!({"Id": "e1"})),
        call if call.is("POST", "/exec/e1/start") => Answer::Upgrade(super::fake::piece(1, "output of the check\n")),
        call if call.is("GET", "/exec/e1/json") => Answer::ok(json!({"ID": "e1", "Running": false, "ExitCode": 3})),
        call if call.is("POST", "/containers/slow/exec") => Answer::Json(201, json!({"Id": "e2"})),
        call if call.is("POST", "/exec/e2/start") => Answer::Hang,
        call if call.is("GET", "/exec/e2/json") => Answer::ok(json!({"ID": "e2", "Running": true, "ExitCode": null})),
        call => healthy(call),
    });
    let client = engine.connect().await;
    let words = ["sh".to_owned(), "-c".to_owned(), "exit 3".to_owned()];
    let variables = ["A=1".to_owned()];
    let code = soon(client.running(NAME).exec(&words, &variables, Duration::from_secs(10))).await;
    assert_eq!(code, Ok(3));
    let asked = &engine.calls("POST", "/containers/mesos-c1/exec")[0].body;
    assert_eq!((&asked["Cmd"], &asked["Env"]), (&json!(words), &json!(variables)));
    let late = soon(client.running("slow").exec(&words, &[], Duration::from_millis(100))).await;
    assert!(matches!(late, Err(EngineError::Late { .. })), "{late:?}");
}

#[tokio::test]
async fn removal_of_an_unknown_container_is_done() {
    let sandbox = tempfile::tempdir().unwrap();
    let engine = Fake::start(sandbox.path(), |call| match call {
        call if call.is("DELETE", "/containers/gone") => Answer::error(404, "No such container: gone"),
        call if call.is("DELETE", "/containers/runs") => Answer::error(409, "You cannot remove a running container"),
        call => healthy(call),
    });
    let client = engine.connect().await;
    assert_eq!(soon(client.remove("gone")).await, Ok(()));
    assert!(matches!(soon(client.remove("runs")).await, Err(EngineError::Refused { status: 409, .. })));
    assert_eq!(
        engine.calls("DELETE", "/containers/gone")[0].target.split('?').nth(1),
        Some("v=true&force=false&link=false")
    );
}
