//! The operator API of an agent, `POST /api/v1`: calls that read.

use crate::metrics;
use crate::server::{AgentSite, bytes};
use crate::view::value;
use apportion::v1::agent_info;
use apportion_http::files::{list_files, read_file};
use apportion_http::protobuf::MessageType;
use apportion_http::transport::{Answer, bad_request, only, text};
use apportion_http::{Encoding, Settings as Master};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The time that GET_METRICS waits if the call does not say.
const METRICS_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers a call.
pub(crate) async fn answer(site: &AgentSite, request: &Request<Bytes>) -> Result<Answer, Answer> {
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    let body = Encoding::of_body(request.headers())?.to_json(MessageType::AGENT_CALL, request.body())?;
    let call: Json = serde_json::from_str(&body).map_err(|error| bad_request(format!("not JSON: {error}")))?;
    let encoding = Encoding::of_answer(request.headers())?;
    let kind = call["type"].as_str().ok_or_else(|| bad_request("expected 'type' to be present"))?.to_owned();
    let field = kind.to_ascii_lowercase();
    let body = respond(site, &kind, &call[&field]).await?;
    let mut response = json!({ "type": kind });
    response[&field] = body;
    let json = response.to_string();
    match encoding {
        Encoding::Json => Ok(bytes(encoding.content_type(), json)),
        Encoding::Protobuf => match MessageType::AGENT_RESPONSE.from_json(&json) {
            Ok(message) => Ok(bytes(encoding.content_type(), message)),
            Err(error) => Err(text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        },
    }
}

/// Returns the body of a response.
async fn respond(site: &AgentSite, kind: &str, call: &Json) -> Result<Json, Answer> {
    Ok(match kind {
        "GET_HEALTH" => json!({ "healthy": true }),
        "GET_VERSION" => json!({"version_info": {"version": Master::VERSION}}),
        "GET_FLAGS" => {
            let flags = &site.settings.flags;
            json!({ "flags": flags.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Json>() })
        }
        "GET_LOGGING_LEVEL" => json!({ "level": 0 }),
        "GET_METRICS" => {
            let timeout = call["timeout"]["nanoseconds"].as_u64().map_or(METRICS_TIMEOUT, Duration::from_nanos);
            let all = metrics::snapshot(site, timeout).await;
            let metric = |(name, value): (&String, &Json)| json!({"name": name, "value": value});
            json!({ "metrics": all.as_object().into_iter().flatten().map(metric).collect::<Json>() })
        }
        "GET_STATE" => {
            let view = site.view().await?;
            json!({
                "get_tasks": view.get_tasks(), "get_executors": view.get_executors(),
                "get_frameworks": view.get_frameworks(),
            })
        }
        "GET_AGENT" => {
            let view = site.view().await?;
            let mut info = value(&agent_info(&view.agent));
            info["port"] = site.settings.machine.address.port().into();
            json!({ "agent_info": info })
        }
        "GET_TASKS" => site.view().await?.get_tasks(),
        "GET_EXECUTORS" => site.view().await?.get_executors(),
        "GET_FRAMEWORKS" => site.view().await?.get_frameworks(),
        "GET_OPERATIONS" => json!({}),
        "GET_RESOURCE_PROVIDERS" => json!({}),
        "GET_CONTAINERS" => json!({ "containers": site.statistics.v1(&site.view().await?).await }),
        "LIST_FILES" => {
            let (files, path) = (site.sandboxes.clone(), path(call)?);
            blocking(move || list_files(&*files, &path)).await?
        }
        "READ_FILE" => {
            let (files, path) = (site.sandboxes.clone(), path(call)?);
            let offset = call["offset"].as_u64().ok_or_else(|| bad_request("expected 'offset' to be present"))?;
            let length = call["length"].as_u64();
            blocking(move || read_file(&*files, &path, offset, length)).await?
        }
        _ => return Err(text(StatusCode::NOT_IMPLEMENTED, format!("{kind} is not implemented"))),
    })
}

fn path(call: &Json) -> Result<String, Answer> {
    call["path"].as_str().map(str::to_owned).ok_or_else(|| bad_request("expected 'path' to be present"))
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Answer> + Send + 'static) -> Result<T, Answer> {
    let ending = |_| text(StatusCode::SERVICE_UNAVAILABLE, "the agent ends");
    tokio::task::spawn_blocking(read).await.map_err(ending)?
}
