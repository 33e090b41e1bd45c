//! Section 4: credentials, for those parts of the API that ask for them.

use crate::wire::{Client, start, subscribe};
use crate::{call, get, post};
use apportion_http::{Authentication, Realm, Settings};
use serde_json::json;

const ME: &str = "Authorization: Basic bWU6MQ==\r\n"; // me:1
const YOU: &str = "Authorization: Basic eW91OjI=\r\n"; // you:2
const WRONG: &str = "Authorization: Basic bWU6Mg==\r\n"; // me:2

fn asking(realms: &[Realm]) -> Settings {
    let file = r#"{"credentials":[{"principal":"me","secret":"1"},{"principal":"you","secret":"2"}]}"#;
    let authentication = Authentication::from_json(file).unwrap();
    Settings::default().authentication(realms.iter().fold(authentication, |all, realm| all.asking(*realm)))
}

/// Each part has a realm of its own, and asks only if it is told to.
#[tokio::test]
async fn each_realm_asks_for_itself() {
    let operator = r#"{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[]}}"#;
    let json = "Content-Type: application/json\r\n";
    for (realm, name) in [
        (Realm::Scheduler, "mesos-master-scheduler"),
        (Realm::ReadWrite, "mesos-master-readwrite"),
        (Realm::ReadOnly, "mesos-master-readonly"),
    ] {
        let (_server, address) = start(asking(&[realm])).await;
        let subscription = call(address, "", &subscribe(None, 0.0)).await;
        let change = post(address, "/api/v1", json, operator).await;
        let read = get(address, "/flags").await;
        for (answer, of) in [(subscription, Realm::Scheduler), (change, Realm::ReadWrite), (read, Realm::ReadOnly)] {
            if of == realm {
                let challenge = format!("Basic realm=\"{name}\"");
                assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge.as_str())));
            } else {
                assert_eq!((answer.status, answer.header("www-authenticate")), (200, None), "{of:?} of {realm:?}");
            }
        }
    }
}

/// `/health`, `/version` and `/redirect` are open.
#[tokio::test]
async fn some_endpoints_are_open() {
    let (_server, address) = start(asking(&[Realm::Scheduler, Realm::ReadWrite, Realm::ReadOnly])).await;
    for (path, expected) in [("/health", 200), ("/version", 200), ("/redirect", 307), ("/flags", 401)] {
        assert_eq!(get(address, path).await.status, expected, "{path}");
    }
}

/// A framework without `principal` gets its login's; another one: 400. Wrong credentials: 401.
#[tokio::test]
async fn a_framework_has_the_principal_of_its_login() {
    let (_server, address) = start(asking(&[Realm::Scheduler])).await;
    let mut named = subscribe(Some("named"), 100.0);
    named["subscribe"]["framework_info"]["principal"] = json!("you");
    assert_eq!(call(address, WRONG, &named).await.status, 401);
    assert_eq!(call(address, ME, &named).await.status, 400);
    assert_eq!(call(address, YOU, &named).await.status, 200);

    let mut stream = Client::connect(address).await;
    stream.post(ME, &subscribe(Some("unnamed"), 100.0)).await;
    let head = stream.head().await.unwrap();
    let id = format!("Mesos-Stream-Id: {}\r\n", head.header("mesos-stream-id").unwrap());
    let revive = json!({"type": "REVIVE", "framework_id": {"value": "unnamed"}});
    assert_eq!(call(address, &format!("{ME}{id}"), &revive).await.status, 202);
    assert_eq!(call(address, &format!("{YOU}{id}"), &revive).await.status, 400, "it is not theirs");
    assert_eq!(call(address, &id, &revive).await.status, 401);
}

/// Credentials that nobody asked for are ignored.
#[tokio::test]
async fn credentials_that_nobody_asked_for_are_ignored() {
    let (_server, address) = start(Settings::default()).await;
    for credentials in [ME, WRONG, "Authorization: Bearer x\r\n", "Authorization: \r\n"] {
        assert_eq!(call(address, credentials, &subscribe(None, 0.0)).await.status, 200, "{credentials}");
    }
}
