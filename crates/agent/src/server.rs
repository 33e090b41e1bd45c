//! [`AgentSite`]: what an agent answers over HTTP. Everything that changes something goes through the loop, which owns the machine.

use crate::driver::{Asked, Question};
use crate::machine::{Rejected, StreamId};
use crate::metrics;
use crate::operator;
use crate::page;
use crate::sandboxes::Sandboxes;
use crate::settings::Settings;
use crate::statistics::Statistics;
use crate::view::View;
use apportion::executor::Call;
use apportion_http::executor_api;
use apportion_http::files::{self, FileCall};
use apportion_http::forms;
use apportion_http::page::File;
use apportion_http::transport::{
    Answer, Body, Path, Query, Site, bad_request, empty, json_text, jsonp, only, streamed, text, typed,
};
use apportion_http::{Settings as Master, parse_duration};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// The longest that an answer waits for the loop.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// An endpoint of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/api/v1/executor`
    Executor,
    /// `/api/v1`, the API of operators
    Operator,
    Health,
    Version,
    Flags,
    State,
    /// `/monitor/statistics`
    Statistics,
    Containers,
    MetricsSnapshot,
    Files(FileCall),
    Page(&'static File),
}

const KNOWN: &[(&str, Route)] = &[
    ("api/v1/executor", Route::Executor),
    ("api/v1", Route::Operator),
    ("containers", Route::Containers),
    ("files/browse", Route::Files(FileCall::Browse)),
    ("files/debug", Route::Files(FileCall::Debug)),
    ("files/download", Route::Files(FileCall::Download)),
    ("files/read", Route::Files(FileCall::Read)),
    ("flags", Route::Flags),
    ("health", Route::Health),
    ("metrics/snapshot", Route::MetricsSnapshot),
    ("monitor/statistics", Route::Statistics),
    ("state", Route::State),
    ("version", Route::Version),
];

/// The names of an agent, one of which may stand in front of each path.
const OWN: &[&str] = &["slave(1)", "slave"];

/// Answers requests, with the help of the loop.
#[derive(Debug)]
pub(crate) struct AgentSite {
    pub(crate) settings: Arc<Settings>,
    pub(crate) asked: mpsc::Sender<Asked>,
    pub(crate) sandboxes: Arc<Sandboxes>,
    pub(crate) statistics: Arc<Statistics>,
    /// The time of the start, since 1970.
    pub(crate) started: Duration,
    /// The time that the start has taken to read what was stored.
    pub(crate) recovery: Duration,
    /// How much of it was broken.
    pub(crate) recovery_errors: usize,
    pub(crate) streams: AtomicU64,
}

impl Site for AgentSite {
    type Route = Option<Route>;
    type Connection = ();

    fn connected(&self) {}

    fn route(&self, path: &str) -> Option<Route> {
        let path = Path::of(path, OWN);
        page::at(&path.text()).map(Route::Page).or_else(|| path.endpoint(KNOWN))
    }

    async fn answer(
        &self,
        route: Option<Route>,
        request: &Request<Bytes>,
        _cut: Arc<Notify>,
    ) -> Result<Response<Body>, Answer> {
        let Some(route) = route else {
            return Err(text(StatusCode::NOT_FOUND, format!("there is no {}", request.uri().path())));
        };
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match route {
            Route::Executor => return self.executor(request).await,
            Route::Operator => return Err(operator::answer(self, request).await?),
            Route::Files(call) => return files::answer(self.sandboxes.clone(), call, request).await,
            Route::Page(file) => return Err(file.answer(request)),
            Route::Health
            | Route::Version
            | Route::Flags
            | Route::State
            | Route::Statistics
            | Route::Containers
            | Route::MetricsSnapshot => {}
        }
        if !is_read {
            return Err(only("GET"));
        }
        let json = self.read(route, request).await?;
        Err(jsonp(request.uri(), json.map_or_else(|| empty(StatusCode::OK), |json| json_text(&json))))
    }
}

impl AgentSite {
    /// Answers where something is read. `/health` has no body.
    async fn read(&self, route: Route, request: &Request<Bytes>) -> Result<Option<Json>, Answer> {
        Ok(Some(match route {
            Route::Health => return Ok(None),
            Route::Version => json!({ "version": Master::VERSION }),
            Route::Flags => json!({ "flags": self.flags() }),
            Route::State => self.state().await?,
            Route::Statistics => self.statistics.v0(&self.view().await?, false).await,
            Route::Containers => self.statistics.v0(&self.view().await?, true).await,
            Route::MetricsSnapshot => {
                let timeout = Query::of(request.uri()).get("timeout").map(|given| {
                    let expected =
                        || bad_request(format!("timeout: expected a duration such as 100ms, found {given:?}"));
                    parse_duration(given).ok_or_else(expected)
                });
                metrics::snapshot(self, timeout.transpose()?.unwrap_or(MAX_WAIT)).await
            }
            Route::Executor | Route::Operator | Route::Files(_) | Route::Page(_) => {
                return Err(text(StatusCode::NOT_FOUND, "not here"));
            }
        }))
    }

    /// Returns the flags by name.
    pub(crate) fn flags(&self) -> Json {
        Json::Object(self.settings.flags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect())
    }

    /// Asks the loop for all that it knows.
    pub(crate) async fn view(&self) -> Result<View, Answer> {
        self.ask(|driver| driver.view()).await
    }

    /// Asks the loop something. The question should be short: all else waits for it.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&crate::driver::Driver) -> T + Send + 'static,
    ) -> Result<T, Answer> {
        let (reply, replied) = oneshot::channel();
        let question: Question = Box::new(move |driver| drop(reply.send(question(driver))));
        self.send(Asked::Question(question)).await?;
        self.replied(replied).await
    }

    async fn send(&self, asked: Asked) -> Result<(), Answer> {
        self.asked.send(asked).await.map_err(|_| ending())
    }

    async fn replied<T>(&self, replied: oneshot::Receiver<T>) -> Result<T, Answer> {
        match tokio::time::timeout(MAX_WAIT, replied).await {
            Ok(reply) => reply.map_err(|_| ending()),
            Err(_) => Err(text(StatusCode::SERVICE_UNAVAILABLE, "the agent does not answer in time")),
        }
    }

    /// Answers a call of an executor.
    async fn executor(&self, request: &Request<Bytes>) -> Result<Response<Body>, Answer> {
        let asked = executor_api::read(request)?;
        let (reply, replied) = oneshot::channel();
        if !matches!(asked.call.call, Call::Subscribe { .. }) {
            self.send(Asked::Call { call: asked.call, reply }).await?;
            self.replied(replied).await?.map_err(|rejected| refused(&rejected))?;
            return Err(empty(StatusCode::ACCEPTED));
        }
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let ended = self.asked.clone();
        let (events, body) = executor_api::stream(asked.encoding, move || {
            // The loop may wait for room in no queue: a task of its own waits.
            tokio::spawn(async move { ended.send(Asked::StreamEnded(stream)).await });
        });
        self.send(Asked::Subscribe { stream, call: asked.call, events, reply }).await?;
        self.replied(replied).await?.map_err(|rejected| refused(&rejected))?;
        let mut answer = Response::new(streamed(body));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(asked.encoding.content_type()));
        Ok(answer)
    }

    /// Returns the answer to `/state`.
    async fn state(&self) -> Result<Json, Answer> {
        let (view, master) = self.ask(|driver| (driver.view(), driver.master_hostname())).await?;
        let settings = &self.settings;
        let (agent, used) = (&view.agent, view.used());
        let [frameworks, completed] = view.frameworks_v0();
        let mut flags = self.flags();
        let grace = settings.machine.executor_shutdown_grace_period.as_secs_f64();
        flags["work_dir"] = settings.machine.work_dir.display().to_string().into();
        flags["executor_shutdown_grace_period"] = format!("{grace}secs").into();
        let mut json = json!({
            "version": Master::VERSION,
            "build_date": "", "build_time": 0.0, "build_user": "",
            "id": agent.id.as_str(),
            "pid": settings.pid(),
            "hostname": agent.hostname.as_str(),
            "start_time": self.started.as_secs_f64(),
            "master_hostname": master,
            "resources": forms::amounts([&view.total]),
            "reserved_resources": forms::reserved_amounts(&view.total),
            "unreserved_resources": forms::amounts([&view.total.unreserved()]),
            "reserved_resources_allocated": forms::reserved_amounts(&used),
            "unreserved_resources_allocated": forms::amounts([&used.unreserved()]),
            "resource_providers": [],
            "attributes": forms::attributes(&agent.attributes),
            "flags": flags,
            "isolation": self.statistics.isolation(),
            "frameworks": frameworks,
            "completed_frameworks": completed,
        });
        if let Some(domain) = &agent.domain {
            json["domain"] = forms::domain(domain);
        }
        if let Some(folder) = settings.log.as_deref().and_then(std::path::Path::parent) {
            json["log_dir"] = folder.display().to_string().into();
        }
        Ok(json)
    }
}

/// Returns the answer to a call that the machine has refused.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other calls are wrong")]
fn refused(rejected: &Rejected) -> Answer {
    let status = match rejected {
        Rejected::NotSubscribed => StatusCode::FORBIDDEN,
        Rejected::TooManyUpdates { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    text(status, rejected.to_string())
}

/// The answer while the agent ends.
fn ending() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "the agent ends")
}

/// Returns an answer with bytes of a media type.
pub(crate) fn bytes(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    typed(StatusCode::OK, content_type, body)
}
