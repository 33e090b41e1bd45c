//! Executors that frameworks bring, in both encodings, by raw sockets.

use crate::rig::{Rig, of_executor};
use crate::wire::Client;
use apportion::Uuid;
use apportion_http::protobuf::MessageType;
use serde_json::{Value as Json, json};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// The executor `e` of the rig's framework: its process only waits, this test speaks for it.
struct Executor {
    encoding: &'static str,
    framework: String,
    calls: Client,
    stream: Client,
}

impl Executor {
    /// Subscribes, as soon as the agent knows the executor.
    async fn subscribe(rig: &Rig, encoding: &'static str) -> Self {
        let framework = rig.framework.id.clone();
        loop {
            let (calls, stream) = (Client::connect(rig.agent.address).await, Client::connect(rig.agent.address).await);
            let mut executor = Self { encoding, framework: framework.clone(), calls, stream };
            let bytes = executor.bytes(json!({"type": "SUBSCRIBE", "subscribe": {}}));
            executor.stream.send(bytes).await;
            let head = executor.stream.head().await.unwrap();
            if head.status == 200 {
                assert_eq!(head.header("content-type"), Some(encoding), "{head:?}");
                return executor;
            }
            assert_eq!(head.status, 400, "the launch is on its way: {head:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Returns a call as it is sent.
    fn bytes(&self, mut call: Json) -> Vec<u8> {
        call["framework_id"] = json!({"value": self.framework});
        call["executor_id"] = json!({"value": "e"});
        let encoding = self.encoding;
        let text = call.to_string();
        let body =
            if encoding == PROTOBUF { MessageType::EXECUTOR_CALL.from_json(&text).unwrap() } else { text.into_bytes() };
        let head = format!(
            "POST /api/v1/executor HTTP/1.1\r\nHost: a\r\nContent-Type: {encoding}\r\nAccept: {encoding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    /// Sends a call, which is taken.
    async fn call(&mut self, call: Json) {
        let bytes = self.bytes(call);
        self.calls.send(bytes).await;
        let answer = self.calls.answer().await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{answer:?}");
    }

    /// Tells a status, and waits until the agent has it.
    async fn tell(&mut self, state: &str, number: u64) -> Uuid {
        let uuid = Uuid::from_seed(7, number);
        let status = json!({"task_id": {"value": "t"}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid});
        self.call(json!({"type": "UPDATE", "update": {"status": status}})).await;
        let acknowledged = self.event("ACKNOWLEDGED").await;
        assert_eq!((&acknowledged["uuid"], &acknowledged["task_id"]["value"]), (&json!(uuid), &json!("t")));
        uuid
    }

    /// Returns the next event, which is of that type.
    async fn event(&mut self, kind: &str) -> Json {
        let record = self.stream.record().await.expect("the stream goes on");
        let text = if self.encoding == PROTOBUF {
            MessageType::EXECUTOR_EVENT.to_json(&record).unwrap()
        } else {
            String::from_utf8(record).unwrap()
        };
        let event: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(event["type"], kind, "{event}");
        event[kind.to_lowercase()].clone()
    }
}

/// A session of an executor whose process waits for the end of `wait`, in one encoding.
async fn session(encoding: &'static str) {
    let mut rig = Rig::start(false, &[]).await;
    let mut task = of_executor("t", "e", "until [ -e end ]; do sleep 0.02; done; exit 7");
    task["data"] = json!("AP8=");
    rig.launch(task).await;
    let mut executor = Executor::subscribe(&rig, encoding).await;
    let subscribed = executor.event("SUBSCRIBED").await;
    assert_eq!(subscribed["executor_info"]["executor_id"], json!({"value": "e"}), "{subscribed}");
    assert_eq!(subscribed["framework_info"]["id"], json!({"value": rig.framework.id}), "{subscribed}");
    assert!(subscribed["agent_info"]["id"]["value"].is_string() && subscribed["agent_info"]["hostname"].is_string());
    assert!(subscribed["container_id"]["value"].is_string(), "{subscribed}");
    let launched = executor.event("LAUNCH").await["task"].clone();
    assert_eq!((&launched["task_id"]["value"], &launched["data"]), (&json!("t"), &json!("AP8=")), "{launched}");

    let running = executor.tell("TASK_RUNNING", 1).await;
    let status = rig.status().await;
    assert_eq!((&status["state"], &status["uuid"]), (&json!("TASK_RUNNING"), &json!(running)), "{status}");
    assert_eq!(status["container_status"]["container_id"], subscribed["container_id"], "{status}");

    executor.call(json!({"type": "MESSAGE", "message": {"data": "/wA="}})).await;
    let message = rig.framework.stream.event_of("MESSAGE").await;
    assert_eq!(
        (&message["message"]["data"], &message["message"]["executor_id"]["value"]),
        (&json!("/wA="), &json!("e"))
    );
    rig.message(&status["agent_id"], "e", "AQI=").await;
    assert_eq!(executor.event("MESSAGE").await["data"], "AQI=");
    rig.kill("t", Some(2)).await;
    let kill = executor.event("KILL").await;
    assert_eq!(kill["task_id"]["value"], "t", "{kill}");

    // Some executors always tell two ends.
    let [first, second] = [executor.tell("TASK_KILLED", 2).await, executor.tell("TASK_FINISHED", 3).await];
    let killed = rig.unacknowledged().await;
    assert_eq!((&killed["state"], &killed["uuid"]), (&json!("TASK_KILLED"), &json!(first)), "{killed}");
    // What the task had is free at the first: it is offered alone, or with the rest if all this was quick.
    while rig.offer().await["resources"][0]["scalar"]["value"] == 3.9 {}
    rig.acknowledge(&killed).await;
    let finished = rig.status().await;
    assert_eq!((&finished["state"], &finished["uuid"]), (&json!("TASK_FINISHED"), &json!(second)), "{finished}");

    let state = rig.ask("/state").await;
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
    std::fs::write(format!("{directory}/end"), "").unwrap();
    let failure = rig.framework.stream.event_of("FAILURE").await;
    assert_eq!(failure["failure"]["status"], 7 << 8, "{failure}");
}

#[tokio::test]
async fn an_executor_speaks_json() {
    session(JSON).await;
}

#[tokio::test]
async fn an_executor_speaks_protobuf() {
    session(PROTOBUF).await;
}
