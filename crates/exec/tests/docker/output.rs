//! The output of a container in the sandbox's files, also when its stream breaks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apportion_exec::docker::{Container, Logins, Place};
use serde_json::json;
use tokio::time::timeout;

use super::fake::{Answer, Call, Fake, piece, state};

fn line(stream: u8, nanos: u32, text: &str) -> Vec<u8> {
    piece(stream, &format!("2026-11-27T10:00:07.{nanos:09}Z {text}\n"))
}

/// Runs a container whose output comes as `logs` says, by the number of the request; it ends with the last of `count` requests.
async fn output(count: usize, logs: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (String, String, Vec<Call>) {
    let sandbox = tempfile::tempdir().unwrap();
    let asked = AtomicUsize::new(0);
    let engine = Fake::start(sandbox.path(), move |call| match call {
        call if call.is("GET", "/containers/*/logs") => logs(asked.fetch_add(1, Ordering::SeqCst)),
        call if call.is("GET", "/containers/*/json") => state(asked.load(Ordering::SeqCst) < count, 0, false),
        call if call.is("GET", "/images/*/json") => Answer::ok(json!({})),
        call if call.is("POST", "/containers/create") => Answer::Json(201, json!({"Id": "abc", "Warnings": []})),
        call if call.is("POST", "/containers/*/wait") => Answer::Cut(Vec::new()),
        _ => Answer::Json(204, json!(null)),
    });
    let info = json!({"container": {"docker": {"image": "app"}}});
    let container = Container::of(&info, &Place::new("c1", "agent-1", sandbox.path())).unwrap();
    std::fs::write(sandbox.path().join("stdout"), "before\n").unwrap();
    let all = async {
        let running = engine.connect().await.launch(&container, &Logins::default()).await.unwrap();
        running.wait().await
    };
    timeout(Duration::from_secs(20), all).await.unwrap();
    let read = |name| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
    (read("stdout"), read("stderr"), engine.calls("GET", "/containers/*/logs"))
}

#[tokio::test]
async fn streams_go_to_their_files() {
    let (stdout, stderr, calls) =
        output(1, |_| Answer::Stream([line(1, 1, "one"), line(2, 2, "two"), line(1, 3, "a b  c")].concat())).await;
    assert_eq!((stdout.as_str(), stderr.as_str()), ("before\none\na b  c\n", "two\n"));
    assert!(calls[0].target.contains("follow=true") && calls[0].target.contains("since=0"), "{}", calls[0].target);
    assert!(calls.last().unwrap().target.contains("follow=false"), "the rest is read when it has ended");
}

#[tokio::test]
async fn broken_stream_is_resumed_after_its_last_line() {
    let whole = || {
        [line(1, 1, "one"), line(2, 1, "error"), line(1, 1, "same time"), line(1, 1, "same again"), line(1, 9, "last")]
    };
    let (stdout, stderr, calls) = output(3, move |number| match number {
        0 => Answer::Cut(whole()[..1].concat()),
        1 => Answer::Stream(whole()[..3].concat()), // closed in peace, though it runs
        _ => Answer::Stream(whole().concat()),
    })
    .await;
    assert_eq!((stdout.as_str(), stderr.as_str()), ("before\none\nsame time\nsame again\nlast\n", "error\n"));
    assert!(calls[1].target.contains("since=1795773606"), "a second before the last line: {}", calls[1].target);
}

#[tokio::test]
async fn driver_that_keeps_no_copy_is_noted() {
    let words = "configured logging driver does not support reading";
    let (stdout, stderr, _) = output(1, move |_| Answer::error(500, words)).await;
    assert_eq!(stdout, "before\n");
    assert!(stderr.contains(words), "{stderr}");
}
