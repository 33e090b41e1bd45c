//! Section 5: a master that does not lead sends clients to the one that does.

use crate::wire::{start, subscribe};
use crate::{call, get, post, request};
use apportion_http::{Leadership, Settings};

const LEADER: &str = "m2.example:5051";

/// 307, empty, `Location: //HOST:PORT` with path and query as asked; before any other check but that of credentials.
#[tokio::test]
async fn what_only_a_leader_does_is_redirected() {
    let (server, address) = start(Settings::default()).await;
    server.set_leadership(Leadership::Standby(Some(LEADER.to_owned())));
    for target in ["/api/v1/scheduler", "/master/api/v1/scheduler?a=b&c", "/api/v1", "/api/v1/scheduler/"] {
        let location = format!("//{LEADER}{target}");
        for answer in [
            post(address, target, "Content-Type: application/json\r\n", "{}").await,
            post(address, target, "", "nonsense").await,
            request(address, "DELETE", target, "").await,
        ] {
            assert_eq!((answer.status, answer.header("location")), (307, Some(location.as_str())), "{target}");
            assert_eq!(answer.header("content-length"), Some("0"));
        }
    }
}

/// No leader known, or the leader still reads what it has to know: 503.
#[tokio::test]
async fn without_a_leader_clients_are_told_to_come_again() {
    let (server, address) = start(Settings::default()).await;
    for leadership in [Leadership::Standby(None), Leadership::Recovering] {
        server.set_leadership(leadership.clone());
        assert_eq!(call(address, "", &subscribe(None, 0.0)).await.status, 503, "{leadership:?}");
        assert_eq!(request(address, "GET", "/api/v1/scheduler", "").await.status, 503, "before the method");
        assert_eq!(post(address, "/api/v1", "Content-Type: application/json\r\n", "{}").await.status, 503);
    }
    server.set_leadership(Leadership::Leading);
    assert_eq!(call(address, "", &subscribe(None, 0.0)).await.status, 200);
}

/// A standby answers itself what is said of itself.
#[tokio::test]
async fn a_standby_tells_of_itself() {
    let (server, address) = start(Settings::default()).await;
    for leadership in [Leadership::Standby(Some(LEADER.to_owned())), Leadership::Standby(None)] {
        server.set_leadership(leadership);
        for path in ["/health", "/version", "/flags", "/"] {
            assert_eq!(get(address, path).await.status, 200, "{path}");
        }
        assert_eq!(get(address, "/master/version").await.text(), r#"{"version":"1.11.0"}"#, "three integers");
    }
}

/// `GET /redirect`: 307 to the leader, on the leader too.
#[tokio::test]
async fn redirect_names_the_leader() {
    let (server, address) = start(Settings::default().hostname("m1.example").port(5050)).await;
    let location = async || {
        let answer = get(address, "/master/redirect").await;
        (answer.status, answer.header("location").unwrap_or_default().trim_end_matches('/').to_owned())
    };
    assert_eq!(location().await, (307, "//m1.example:5050".to_owned()));
    server.set_leadership(Leadership::Standby(Some(LEADER.to_owned())));
    assert_eq!(location().await, (307, format!("//{LEADER}")));
    server.set_leadership(Leadership::Standby(None));
    assert_eq!(location().await.0, 503);
}
