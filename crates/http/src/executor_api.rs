//! The executor API of an agent, `POST /api/v1/executor`: calls as they are read from requests, and the streams of events.
//!
//! ```text
//!   executor ── call ──► read() ── 400, 405, 406, 415
//!                          │ ExecutorRequest               the agent decides
//!                          └────────────────────────────► 202, 400, 403, 503, or 200 with
//!   executor ◄── events ◄── ExecutorStream ◄── ExecutorEvents ◄──── stream()
//! ```

mod stream;

pub use stream::{ExecutorEvents, ExecutorStream, SendError, stream};

use crate::protobuf::MessageType;
use crate::transport::answer::{Answer, bad_request, only};
use crate::transport::encoding::Encoding;
use apportion::executor::Call;
use apportion::v1::{Dialect, ExecutorCall};
use bytes::Bytes;
use http::{Method, Request};
use std::time::Duration;

/// The interval of heartbeats, the first of which comes so long after the subscription: some executors end when one comes.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// A call of an executor that has been read, whether it may be made or not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecutorRequest {
    /// The call, and who makes it. A status has a UUID.
    pub call: ExecutorCall,
    /// The encoding of the stream that a subscription asks for.
    pub encoding: Encoding,
}

/// Reads a call of an executor.
///
/// # Errors
///
/// The answer: 405, 415, 406 for a subscription; 400 for what is no call, one without the ids of framework and executor, or a status
/// without a UUID.
///
/// # Examples
///
/// ```
/// use apportion::executor::Call;
/// use apportion_http::executor_api::read;
/// use bytes::Bytes;
///
/// let call = r#"{"type":"MESSAGE","framework_id":{"value":"f"},"executor_id":{"value":"e"},"message":{"data":"aGk="}}"#;
/// let request = http::Request::post("/api/v1/executor").header("content-type", "application/json");
/// let asked = read(&request.body(Bytes::from(call))?).expect("it is a call");
/// assert_eq!((asked.call.executor.as_str(), asked.call.call), ("e", Call::Message(b"hi".to_vec())));
/// # Ok::<(), http::Error>(())
/// ```
pub fn read(request: &Request<Bytes>) -> Result<ExecutorRequest, Answer> {
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    let headers = request.headers();
    let body = Encoding::of_body(headers)?.to_json(MessageType::EXECUTOR_CALL, request.body())?;
    let call = Dialect::default().decode::<ExecutorCall>(&*body);
    let call = call.map_err(|error| bad_request(error.to_string()))?;
    for (name, id) in [("framework_id", call.framework.as_str()), ("executor_id", call.executor.as_str())] {
        if id.is_empty() {
            return Err(bad_request(format!("expected '{name}' to be present")));
        }
    }
    let is_subscription = matches!(call.call, Call::Subscribe { .. });
    let encoding = if is_subscription { Encoding::of_answer(headers)? } else { Encoding::Json };
    Ok(ExecutorRequest { call, encoding })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: &str = r#""framework_id":{"value":"f"},"executor_id":{"value":"e"}"#;

    fn ask(content_type: &str, accept: &str, body: &[u8]) -> Result<ExecutorRequest, u16> {
        let request = Request::post("/api/v1/executor").header("content-type", content_type).header("accept", accept);
        read(&request.body(Bytes::copy_from_slice(body)).unwrap()).map_err(|answer| answer.status().as_u16())
    }

    #[test]
    fn both_encodings_are_read() {
        let call = format!(r#"{{"type":"SUBSCRIBE",{IDS},"subscribe":{{}}}}"#);
        let binary = MessageType::EXECUTOR_CALL.from_json(&call).unwrap();
        let first = ask("application/json", "application/x-protobuf", call.as_bytes()).unwrap();
        let second = ask("application/x-protobuf", "application/json", &binary).unwrap();
        assert_eq!(first.call, second.call);
        assert_eq!((first.encoding, second.encoding), (Encoding::Protobuf, Encoding::Json));
    }

    #[test]
    fn what_is_no_call_is_refused_with_the_status_of_its_fault() {
        let uuid = r#""uuid":"MDEyMzQ1Njc4OUFCQ0RFRg==""#;
        let update = |uuid: &str| {
            let status =
                format!(r#"{{"task_id":{{"value":"t"}},"state":"TASK_RUNNING",{uuid}"source":"SOURCE_EXECUTOR"}}"#);
            format!(r#"{{"type":"UPDATE",{IDS},"update":{{"status":{status}}}}}"#)
        };
        let json = "application/json";
        for (content_type, accept, body, expected) in [
            (json, "*/*", update(&format!("{uuid},")), None),
            (json, "text/html", update(&format!("{uuid},")), None),
            (json, "*/*", update(""), Some(400)),
            (json, "*/*", update(r#""uuid":"AAA=","#), Some(400)),
            (json, "*/*", "{".to_owned(), Some(400)),
            (json, "*/*", r#"{"type":"MESSAGE","message":{"data":""}}"#.to_owned(), Some(400)),
            (json, "*/*", format!(r#"{{"type":"DANCE",{IDS}}}"#), Some(400)),
            ("text/plain", "*/*", update(""), Some(415)),
            (json, "text/html", format!(r#"{{"type":"SUBSCRIBE",{IDS},"subscribe":{{}}}}"#), Some(406)),
        ] {
            assert_eq!(ask(content_type, accept, body.as_bytes()).err(), expected, "{content_type} {accept} {body}");
        }
        let get = Request::get("/api/v1/executor").body(Bytes::new()).unwrap();
        assert_eq!(read(&get).unwrap_err().status(), 405);
    }
}
