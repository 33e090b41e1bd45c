//! The older endpoints for what operators set, through sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion_http::Settings;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use wire::{Answer, Client, start, subscribed};

async fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(address).await;
    let length = body.len();
    client
        .send(format!("{method} {path} HTTP/1.1\r\nHost: m\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
        .await;
    client.answer().await.unwrap()
}

async fn get(address: SocketAddr, path: &str) -> Json {
    let answer = send(address, "GET", path, "", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Returns the status of a change; one that is done has no body.
async fn change(address: SocketAddr, method: &str, path: &str, body: &str) -> u16 {
    let answer = send(address, method, path, "", body).await;
    assert_eq!(answer.status < 300, answer.body.is_empty(), "{answer:?}");
    answer.status
}

fn form(fields: &[(&str, &str)]) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace('%', "%25").replace('&', "%26")))
        .collect::<Vec<_>>()
        .join("&")
}

#[tokio::test]
async fn weights_and_quotas_are_set_and_removed() {
    let (_server, address) = start(Settings::default()).await;
    assert_eq!((get(address, "/weights").await, get(address, "/quota").await), (json!([]), json!({})), "as recorded");
    assert_eq!(change(address, "PUT", "/weights", r#"[{"role":"eng/web","weight":2.5}]"#).await, 200);
    assert_eq!(get(address, "/master/weights.json").await, json!([{"weight": 2.5, "role": "eng/web"}]));
    assert_eq!(change(address, "PUT", "/weights", r#"[{"role":"a","weight":0}]"#).await, 400);
    assert_eq!(send(address, "POST", "/weights", "", "[]").await.header("allow"), Some("GET, PUT"));

    let cpus = |value: f64| json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": value}}]);
    let request =
        |value: f64, force: bool| json!({"role": "eng/web", "guarantee": cpus(value), "force": force}).to_string();
    assert_eq!(change(address, "POST", "/quota", &request(100.0, false)).await, 409, "the cluster has 4");
    assert_eq!(change(address, "POST", "/quota", &request(100.0, true)).await, 200);
    assert_eq!(change(address, "POST", "/quota", &request(1.0, false)).await, 400, "there is one");
    let quota = get(address, "/quota").await;
    assert_eq!(quota["infos"], json!([{"role": "eng/web", "guarantee": cpus(100.0)}]));
    assert_eq!(quota["configs"][0]["limits"], json!({"cpus": {"value": 100.0}}));
    assert_eq!(change(address, "DELETE", "/quota/eng/web", "").await, 200);
    assert_eq!(change(address, "DELETE", "/quota/eng/web", "").await, 400, "there is none");
    let roles = get(address, "/roles").await;
    let names: Vec<&str> =
        roles["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["eng", "eng/web"]);
}

#[tokio::test]
async fn resources_are_reserved_and_made_volumes_by_forms() {
    let (_server, address) = start(Settings::default()).await;
    let reservations = json!([{"type": "DYNAMIC", "role": "web", "principal": "ops"}]);
    let cpus = |value: f64| {
        json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": value}, "reservations": reservations}])
            .to_string()
    };
    let reserve = |agent: &str, value: f64| form(&[("slaveId", agent), ("resources", &cpus(value))]);
    assert_eq!(change(address, "POST", "/reserve", &reserve("a1", 1.5)).await, 202);
    assert_eq!(get(address, "/roles").await["roles"][0]["reserved"], json!({"cpus": 1.5}));
    assert_eq!(change(address, "POST", "/reserve", &reserve("a1", 3.0)).await, 409);
    assert_eq!(change(address, "POST", "/reserve", &reserve("nobody", 1.0)).await, 400);
    assert_eq!(change(address, "POST", "/unreserve", &reserve("a1", 2.0)).await, 409);
    assert_eq!(change(address, "POST", "/unreserve", &reserve("a1", 1.5)).await, 202);
    let old =
        r#"[{"name":"mem","type":"SCALAR","scalar":{"value":512},"role":"web","reservation":{"principal":"ops"}}]"#;
    assert_eq!(change(address, "POST", "/reserve", &form(&[("slaveId", "a1"), ("resources", old)])).await, 202);
    let unreserved = r#"[{"name":"mem","type":"SCALAR","scalar":{"value":1}}]"#;
    assert_eq!(change(address, "POST", "/reserve", &form(&[("slaveId", "a1"), ("resources", unreserved)])).await, 400);
    let volume = r#"[{"name":"disk","type":"SCALAR","scalar":{"value":5},"role":"web","reservation":{},"disk":{"persistence":{"id":"v"},"volume":{"container_path":"p","mode":"RW"}}}]"#;
    assert_eq!(
        change(address, "POST", "/create-volumes", &form(&[("slaveId", "a1"), ("volumes", volume)])).await,
        409,
        "the agent has no disk"
    );
    assert_eq!(
        change(address, "POST", "/destroy-volumes", &form(&[("slaveId", "a1"), ("volumes", volume)])).await,
        409
    );
}

#[tokio::test]
async fn a_framework_is_removed_by_a_form() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    assert_eq!(change(address, "POST", "/teardown", &form(&[("frameworkId", &framework.id)])).await, 200);
    while framework.stream.event().await.is_some() {}
    assert_eq!(change(address, "POST", "/master/teardown", &form(&[("frameworkId", &framework.id)])).await, 400);
}

#[tokio::test]
async fn machines_go_down_and_come_up() {
    let (server, address) = start(Settings::default()).await;
    assert_eq!(
        (get(address, "/maintenance/schedule").await, get(address, "/maintenance/status").await),
        (json!({}), json!({}))
    );
    let machine = json!([{"hostname": "a1", "ip": "127.0.0.1"}]);
    let window =
        json!({"machine_ids": machine, "unavailability": {"start": {"nanoseconds": 1_795_368_624_695_889_664_i64}}});
    let schedule = json!({"windows": [window]});
    assert_eq!(change(address, "POST", "/machine/down", &machine.to_string()).await, 400, "not scheduled");
    assert_eq!(change(address, "POST", "/maintenance/schedule", &schedule.to_string()).await, 200);
    assert_eq!(get(address, "/maintenance/schedule").await, schedule);
    assert_eq!(get(address, "/maintenance/status").await, json!({"draining_machines": [{"id": machine[0]}]}));
    assert_eq!(change(address, "POST", "/machine/down", &machine.to_string()).await, 200);
    assert_eq!(get(address, "/maintenance/status").await, json!({"down_machines": machine}));
    assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 0);
    let agent = || apportion::Agent::new("a1", "cpus:1".parse().unwrap());
    server.command(apportion::Command::AddAgent(agent().into())).await.unwrap_err();
    assert_eq!(change(address, "POST", "/machine/up", &machine.to_string()).await, 200);
    assert_eq!(get(address, "/maintenance/schedule").await, json!({}));
    server.command(apportion::Command::AddAgent(agent().into())).await.unwrap();
    let window = server.query(|master| master.agents().next().unwrap().unavailability).await.unwrap();
    assert_eq!(window, None, "the window has gone with the maintenance");
}

#[tokio::test]
async fn a_page_of_others_changes_nothing_and_scripts_get_calls() {
    let (_server, address) = start(Settings::default()).await;
    let weights = r#"[{"role":"a","weight":2}]"#;
    assert_eq!(send(address, "PUT", "/weights", "Origin: http://evil.example\r\n", weights).await.status, 403);
    assert_eq!(
        send(
            address,
            "POST",
            "/api/v1",
            "Origin: null\r\nContent-Type: application/json\r\n",
            r#"{"type":"GET_HEALTH"}"#
        )
        .await
        .status,
        403
    );
    assert_eq!(get(address, "/weights").await, json!([]));
    assert_eq!(send(address, "PUT", "/weights", "Origin: http://m\r\n", weights).await.status, 200);
    let script = send(address, "GET", "/weights?jsonp=show", "", "").await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript")));
    assert_eq!(script.text(), r#"show([{"weight":2.0,"role":"a"}]);"#);
    assert_eq!(send(address, "GET", "/version?jsonp=alert(1)", "", "").await.status, 400);
}

#[tokio::test]
async fn the_log_is_listed_read_and_downloaded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let content = "line\n".repeat(50_000);
    std::fs::write(&file, &content).unwrap();
    let (server, address) = start(Settings::default().log(&file)).await;
    server.set_leadership(apportion_http::Leadership::Standby(None)); // a standby shows its own
    let listed = get(address, "/files/browse?path=/master/log").await;
    assert_eq!((&listed[0]["path"], &listed[0]["size"]), (&json!("/master/log"), &json!(content.len())));
    assert_eq!(get(address, "/files/debug").await, json!({"/master/log": file.to_str().unwrap()}));
    assert_eq!(get(address, "/files/read?path=/master/log").await, json!({"data": "", "offset": 250_000}));
    let piece = get(address, "/files/read.json?path=%2Fmaster%2Flog&offset=5&length=10").await;
    assert_eq!(piece, json!({"data": "line\nline\n", "offset": 5}));
    let capped = get(address, "/files/read?path=/master/log&offset=0&length=-1").await;
    assert_eq!(capped["data"].as_str().unwrap().len(), 65_536);
    for (path, expected) in [
        ("/files/read?path=/master/log&offset=x", 400),
        ("/files/read?path=/nowhere&offset=0", 404),
        ("/files/browse?path=/", 404),
        ("/files/browse", 400),
        ("/files/download?path=/etc/passwd", 404),
        ("/files", 404),
    ] {
        assert_eq!(send(address, "GET", path, "", "").await.status, expected, "{path}");
    }
    let whole = send(address, "GET", "/files/download?path=/master/log", "", "").await;
    assert_eq!((whole.status, whole.header("content-disposition")), (200, Some("attachment; filename=log")));
    assert!(whole.body == content.as_bytes(), "{} bytes", whole.body.len());
    let script = send(address, "GET", "/files/read?path=/master/log&offset=0&length=4&jsonp=f", "", "").await;
    assert_eq!(script.text(), r#"f({"data":"line","offset":0});"#);
}
