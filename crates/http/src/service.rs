//! [`Service`]: answers each request of a connection.

use crate::apportion_api::event_source::{self, Readers};
use crate::apportion_api::inspector::Inspector;
use crate::apportion_api::{self, Resource};
use crate::authentication::Realm;
use crate::endpoint::Endpoint;
use crate::files::{self, FileCall, Log};
use crate::gate::Gate;
use crate::internal::api;
use crate::leader::{Input, Leader};
use crate::leadership::{Leadership, redirect};
use crate::metrics::{self, Connected, Figures};
use crate::operator_api::watchers::{Watch, Watchers};
use crate::operator_api::{self, Act, Asked};
use crate::page::File;
use crate::scheduler_api::{self, Passed, STREAM_ID, queued};
use crate::seen::{Renderer, Seen};
use crate::settings::Settings;
use crate::transport::answer::{Answer, bad_request, empty, json_text, only, text, typed};
use crate::transport::duration::parse_duration;
use crate::transport::encoding::Encoding;
use crate::transport::jsonp;
use crate::transport::listener::{Body, Site, streamed};
use crate::v0::V0;
use apportion::Master;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// Answers requests, with the help of the leader's task.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) gate: Arc<Gate>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) inspector: Inspector,
    pub(crate) readers: Readers,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) watchers: Arc<Watchers>,
}

impl Site for Service {
    type Route = Option<Endpoint>;
    type Connection = Connected;

    fn connected(&self) -> Connected {
        self.gate.traffic.connect()
    }

    fn route(&self, path: &str) -> Option<Endpoint> {
        Endpoint::of(path)
    }

    fn answered(&self, endpoint: Option<Endpoint>, status: StatusCode) {
        self.gate.traffic.answered(endpoint.map_or(metrics::OTHER, Endpoint::name), status.as_u16());
    }

    async fn answer(
        &self,
        endpoint: Option<Endpoint>,
        request: &Request<Bytes>,
        cut: Arc<Notify>,
    ) -> Result<Response<Body>, Answer> {
        let Some(endpoint) = endpoint else {
            return Err(text(StatusCode::NOT_FOUND, format!("there is no {}", request.uri().path())));
        };
        if endpoint == Endpoint::Scheduler {
            return self.scheduler(request, cut).await;
        }
        if endpoint == Endpoint::Agent {
            return self.agent(request, cut).await;
        }
        if endpoint == Endpoint::Operator {
            return self.operator(request, cut).await;
        }
        if let Endpoint::Files(call) = endpoint {
            return self.files(call, request).await;
        }
        if endpoint == Endpoint::Apportion(Resource::Events) {
            return self.events(request, cut).await;
        }
        if let Endpoint::Apportion(resource) = endpoint {
            return Err(apportion_api::answer(&self.gate, &self.inspector, resource, request).await?);
        }
        if let Endpoint::Page(file) = endpoint {
            return Err(self.page(file, request)?);
        }
        let answer = if let Endpoint::V0(place) = endpoint {
            self.v0(place, request).await
        } else if matches!(endpoint, Endpoint::Metrics | Endpoint::MetricsSnapshot) {
            self.metrics(endpoint, request).await
        } else {
            self.open_endpoint(endpoint, request)
        };
        Err(jsonp::wrapped(request.uri(), answer.unwrap_or_else(|refusal| refusal)))
    }
}

impl Service {
    /// Answers with a file of the page, a master that does not lead, too.
    fn page(&self, file: &File, request: &Request<Bytes>) -> Result<Answer, Answer> {
        // A browser asks for a password where it goes, which is good for all that the page asks for then.
        if file.is_page() && self.gate.leadership() == Leadership::Leading {
            self.gate.settings.authentication.check(Realm::ReadOnly, request.headers())?;
        }
        Ok(file.answer(request))
    }

    async fn events(&self, request: &Request<Bytes>, cut: Arc<Notify>) -> Result<Response<Body>, Answer> {
        let last = apportion_api::check_events(&self.gate, request)?;
        let permit = self.readers.admit()?;
        let (reply, replied) = oneshot::channel();
        self.send(Input::WatchEffects(reply)).await?;
        let watch = replied.await.map_err(|_| ending())?;
        let stream = event_source::stream(&self.gate, watch, last, permit, cut);
        let mut answer = Response::new(streamed(stream));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(event_source::CONTENT_TYPE));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(answer)
    }

    async fn v0(&self, place: V0, request: &Request<Bytes>) -> Result<Answer, Answer> {
        match place.check(&self.gate, request)? {
            Asked::Known(json) => Ok(json_text(&json)),
            Asked::Read(read) => Ok(json_text(&blocking(read).await?)),
            Asked::Metrics(timeout) => Ok(json_text(&json!(self.snapshot(timeout).await?))),
            Asked::Seen(seen) => self.seen(seen, Encoding::Json).await,
            Asked::Watch | Asked::Log(..) => Err(text(StatusCode::NOT_FOUND, "not here")),
            Asked::Question(question) => Ok(json_text(&self.ask(question).await?)),
            Asked::Survey(question) => Ok(json_text(&self.survey(question).await?)),
            Asked::Change(act) => Ok(empty(self.change(act).await?)),
        }
    }

    async fn scheduler(&self, request: &Request<Bytes>, cut: Arc<Notify>) -> Result<Response<Body>, Answer> {
        let (reply, replied) = oneshot::channel();
        let (input, encoding) = match scheduler_api::check(&self.gate, request)? {
            Passed::Call(id, stream, call) => {
                self.gate.traffic.called("scheduler", call.kind());
                self.send(Input::Call { id, stream, call }).await?;
                return Err(queued());
            }
            Passed::Update(id, framework) => {
                self.gate.traffic.called("scheduler", "UPDATE_FRAMEWORK");
                return Err(self.update(id, framework).await?);
            }
            Passed::Subscribe(framework, encoding) => {
                self.gate.traffic.called("scheduler", "SUBSCRIBE");
                (Input::Subscribe { framework, encoding, cut, reply }, encoding)
            }
            Passed::Refused(reason, encoding) => (Input::Refuse { reason, encoding, reply }, encoding),
        };
        self.send(input).await?;
        let stream = replied.await.map_err(|_| ending())?;
        let id = HeaderValue::from_str(&stream.id.to_string()).expect("a UUID is ASCII");
        let mut answer = Response::new(streamed(stream));
        encoding.describe_stream(request.headers(), answer.headers_mut());
        answer.headers_mut().insert(STREAM_ID, id);
        Ok(answer)
    }

    async fn agent(&self, request: &Request<Bytes>, cut: Arc<Notify>) -> Result<Response<Body>, Answer> {
        let (back, enrolment) = match api::check(&self.gate, request)? {
            api::Passed::Call(agent, stream, call) => {
                self.gate.traffic.called("agent", call.kind());
                self.send(Input::AgentCall { agent, stream, call }).await?;
                return Err(queued());
            }
            api::Passed::Open(back, enrolment) => (back, enrolment),
        };
        self.gate.traffic.called("agent", enrolment.kind());
        let (reply, replied) = oneshot::channel();
        self.send(Input::OpenAgent { back, enrolment, cut, reply }).await?;
        let stream = replied.await.map_err(|_| ending())?;
        let id = HeaderValue::from_str(&stream.id.to_string()).expect("a UUID is ASCII");
        let mut answer = Response::new(streamed(stream));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers_mut().insert(STREAM_ID, id);
        Ok(answer)
    }

    async fn update(&self, id: apportion::FrameworkId, framework: Box<apportion::Framework>) -> Result<Answer, Answer> {
        let (reply, replied) = oneshot::channel();
        self.send(Input::Update { id, framework, reply }).await?;
        match replied.await.map_err(|_| ending())? {
            Ok(()) => Ok(empty(StatusCode::OK)),
            Err(error) => Err(bad_request(error.to_string())),
        }
    }

    async fn operator(&self, request: &Request<Bytes>, cut: Arc<Notify>) -> Result<Response<Body>, Answer> {
        let (asked, encoding) = operator_api::check(&self.gate, request)?;
        let answer = match asked {
            Asked::Watch => return self.watch(request.headers(), encoding, cut).await,
            Asked::Seen(seen) => self.seen(seen, encoding).await,
            Asked::Known(response) => Ok(operator_api::answer(&response, encoding)),
            Asked::Read(read) => Ok(operator_api::answer(&blocking(read).await?, encoding)),
            Asked::Metrics(timeout) => {
                let response = operator_api::metrics(&self.snapshot(timeout).await?);
                Ok(operator_api::answer(&response, encoding))
            }
            Asked::Question(question) => Ok(operator_api::answer(&self.ask(question).await?, encoding)),
            Asked::Survey(question) => Ok(operator_api::answer(&self.survey(question).await?, encoding)),
            Asked::Change(act) => Ok(empty(self.change(act).await?)),
            Asked::Log(verbosity, level, time) => {
                verbosity.set(level, time);
                Ok(empty(StatusCode::OK))
            }
        };
        Err(answer?)
    }

    /// Answers with a file, whether this master leads or not.
    async fn files(&self, call: FileCall, request: &Request<Bytes>) -> Result<Response<Body>, Answer> {
        let settings = &self.gate.settings;
        settings.authentication.check(Realm::ReadOnly, request.headers())?;
        files::answer(Arc::new(Log(settings.log.clone())), call, request).await
    }

    /// Answers with the metrics, whether this master leads or not.
    async fn metrics(&self, endpoint: Endpoint, request: &Request<Bytes>) -> Result<Answer, Answer> {
        let settings = &self.gate.settings;
        settings.authentication.check(Realm::ReadOnly, request.headers())?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(only("GET"));
        }
        let query = request.uri().query().unwrap_or_default();
        let timeout = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "timeout");
        let timeout = timeout.map(|(_, given)| {
            let expected = || bad_request(format!("timeout: expected a duration such as 100ms, found {given:?}"));
            parse_duration(&given).ok_or_else(expected)
        });
        let timeout = timeout.transpose()?;
        if endpoint == Endpoint::MetricsSnapshot {
            return Ok(json_text(&json!(self.snapshot(timeout).await?)));
        }
        let figures = self.figures(timeout).await?;
        let text = metrics::exposition(figures.as_ref(), &self.gate.traffic, self.is_leading(), self.waiting());
        Ok(typed(StatusCode::OK, metrics::CONTENT_TYPE, text))
    }

    /// Returns all metrics by name.
    async fn snapshot(&self, timeout: Option<Duration>) -> Result<BTreeMap<String, f64>, Answer> {
        let figures = self.figures(timeout).await?;
        let (gate, is_leading, waiting) = (self.gate.clone(), self.is_leading(), self.waiting());
        // Of thousands of frameworks there are hundreds of thousands of names.
        let made = move || Ok(metrics::snapshot(figures.as_ref(), &gate.traffic, is_leading, waiting));
        let mut all = blocking(made).await?;
        let watchers = u32::try_from(self.watchers.len()).unwrap_or(u32::MAX);
        all.insert("master/operator_event_stream_subscribers".to_owned(), watchers.into());
        Ok(all)
    }

    /// Asks the master for its figures; none if it takes longer than that.
    async fn figures(&self, timeout: Option<Duration>) -> Result<Option<Figures>, Answer> {
        let figures = self.ask(Figures::of);
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, figures).await.ok().transpose(),
            None => figures.await.map(Some),
        }
    }

    fn is_leading(&self) -> bool {
        self.gate.leadership() == Leadership::Leading
    }

    /// Returns how many inputs wait for the master.
    fn waiting(&self) -> usize {
        self.inputs.max_capacity() - self.inputs.capacity()
    }

    /// Answers with the state of the cluster, or a part of it.
    async fn seen(&self, seen: Seen, encoding: Encoding) -> Result<Answer, Answer> {
        match self.renderer.answer(&self.inputs, seen, encoding).await.ok_or_else(ending)? {
            Ok(bytes) => Ok(typed(StatusCode::OK, encoding.content_type(), bytes)),
            Err(error) => Err(text(StatusCode::INTERNAL_SERVER_ERROR, error)),
        }
    }

    /// Begins a stream to an operator.
    async fn watch(&self, asked: &HeaderMap, encoding: Encoding, cut: Arc<Notify>) -> Result<Response<Body>, Answer> {
        let (reply, replied) = oneshot::channel();
        self.send(Input::WatchChanges(reply)).await?;
        let (snapshot, changes) = replied.await.map_err(|_| ending())?;
        let (gate, renderer, watchers) = (self.gate.clone(), self.renderer.clone(), self.watchers.clone());
        let records = Watch { gate, renderer, encoding, cut, watchers }.start(snapshot, changes);
        let mut answer = Response::new(streamed(records));
        encoding.describe_stream(asked, answer.headers_mut());
        Ok(answer)
    }

    /// Has the master make a change that an operator asks for.
    async fn change(&self, act: Act) -> Result<StatusCode, Answer> {
        let (reply, replied) = oneshot::channel();
        self.send(Input::Act(Box::new(move |leader, at| drop(reply.send(act(leader, at)))))).await?;
        replied.await.map_err(|_| ending())?
    }

    /// Asks a copy of the master as it is now: the leader takes no longer than to make that.
    async fn survey(&self, question: fn(&Master) -> Json) -> Result<Json, Answer> {
        let master = self.ask(|leader| leader.delivery().master().clone()).await?;
        blocking(move || Ok(question(&master))).await
    }

    /// Asks the leader.
    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Leader) -> T + Send + 'static) -> Result<T, Answer> {
        let (reply, replied) = oneshot::channel();
        self.send(Input::Act(Box::new(move |leader, _| drop(reply.send(question(leader)))))).await?;
        replied.await.map_err(|_| ending())
    }

    async fn send(&self, input: Input) -> Result<(), Answer> {
        self.inputs.send(input).await.map_err(|_| ending())
    }

    /// Answers at endpoints that say something of this master itself, whether it leads or not.
    fn open_endpoint(&self, endpoint: Endpoint, request: &Request<Bytes>) -> Result<Answer, Answer> {
        let settings = &self.gate.settings;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(only("GET"));
        }
        match endpoint {
            Endpoint::Health => Ok(empty(StatusCode::OK)),
            Endpoint::Version => Ok(json_text(&json!({ "version": Settings::VERSION }))),
            Endpoint::Flags => {
                settings.authentication.check(Realm::ReadOnly, request.headers())?;
                let flags: serde_json::Map<_, _> =
                    settings.flags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
                Ok(json_text(&json!({ "flags": flags })))
            }
            Endpoint::Redirect => match self.gate.leadership() {
                Leadership::Standby(None) => Err(text(StatusCode::SERVICE_UNAVAILABLE, "no leading master is known")),
                Leadership::Standby(Some(leader)) => Ok(redirect(&leader, &http::Uri::from_static("/"))),
                Leadership::Leading | Leadership::Recovering => {
                    let this = format!("{}:{}", settings.hostname, settings.port);
                    Ok(redirect(&this, &http::Uri::from_static("/")))
                }
            },
            Endpoint::Scheduler
            | Endpoint::Agent
            | Endpoint::Operator
            | Endpoint::V0(_)
            | Endpoint::Apportion(_)
            | Endpoint::Page(_)
            | Endpoint::Files(_)
            | Endpoint::Metrics
            | Endpoint::MetricsSnapshot => Err(text(StatusCode::NOT_FOUND, "not here")),
        }
    }
}

/// Reads from a disk, in a thread where that delays nobody.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Answer> + Send + 'static) -> Result<T, Answer> {
    tokio::task::spawn_blocking(read).await.map_err(|_| ending())?
}

/// The answer while the master shuts down.
fn ending() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "the master shuts down")
}
