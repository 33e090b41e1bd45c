//! Endpoints of our own, `/apportion/*`: who holds what, why a framework is not offered more, what would change that, and
//! events as they happen. The forms of JSON are those of the journal.
//!
//! They change nothing, so they ask for credentials of the realm of endpoints that only tell something: the trial of a change,
//! too, which runs on a copy.

pub(crate) mod event_source;
mod explain;
pub(crate) mod inspector;
mod tables;
mod what_if;

use crate::apportion_api::inspector::{Effort, Inspector};
use crate::authentication::Realm;
use crate::gate::Gate;
use crate::transport::answer::{Answer, only, text, typed};
use crate::transport::query::Query;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, StatusCode};
use serde_json::Value as Json;
use tables::Table;

/// A resource below `/apportion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// The master and its cluster in a few numbers.
    Summary,
    /// A list of what is there.
    Table(Table),
    /// The reasons why a framework is not offered more.
    Explain,
    /// The trial of a change: the offers that each framework would get after it.
    WhatIf,
    /// Events as they happen.
    Events,
}

impl Resource {
    pub(crate) const AGENTS: Self = Self::Table(Table::Agents);
    pub(crate) const FRAMEWORKS: Self = Self::Table(Table::Frameworks);
    pub(crate) const ROLES: Self = Self::Table(Table::Roles);
    pub(crate) const TASKS: Self = Self::Table(Table::Tasks);
    pub(crate) const OFFERS: Self = Self::Table(Table::Offers);
}

/// Checks who asks for events. Returns the last one that a reader has seen, which has come again.
pub(crate) fn check_events<'a>(gate: &Gate, request: &'a Request<Bytes>) -> Result<Option<&'a str>, Answer> {
    gate.settings.authentication.check(Realm::ReadOnly, request.headers())?;
    gate.leadership().check(request.uri())?;
    if request.method() != Method::GET {
        return Err(only("GET"));
    }
    Ok(request.headers().get("last-event-id").and_then(|id| id.to_str().ok()))
}

/// Answers a request, but for one for events.
pub(crate) async fn answer(
    gate: &Gate,
    inspector: &Inspector,
    resource: Resource,
    request: &Request<Bytes>,
) -> Result<Answer, Answer> {
    gate.settings.authentication.check(Realm::ReadOnly, request.headers())?;
    gate.leadership().check(request.uri())?;
    if resource == Resource::WhatIf {
        what_if::check(request)?;
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(only("GET"));
    }
    let query = Query::of(request.uri());
    let json = match resource {
        Resource::Summary => {
            let about = tables::about(gate);
            inspector.ask(Effort::Table, move |image| tables::summary(image, about)).await?
        }
        Resource::Table(table) => {
            let wanted = tables::Wanted::read(&query)?;
            let mut rows = inspector.ask(Effort::Table, move |image| table.rows(image, &wanted)).await?;
            if table == Table::Agents {
                inspector.add_pages(&mut rows["items"]).await?;
            }
            rows
        }
        Resource::Explain => {
            let question = explain::Question::read(&query)?;
            inspector.ask(Effort::Trial, move |image| question.answer(&image.master)).await??
        }
        Resource::WhatIf => {
            let trial = what_if::Trial::read(request.body())?;
            inspector.ask(Effort::Trial, move |image| trial.run(&image.master)).await??
        }
        Resource::Events => return Err(text(StatusCode::NOT_FOUND, "not here")),
    };
    Ok(json_answer(&json))
}

fn json_answer(json: &Json) -> Answer {
    let mut answer = typed(StatusCode::OK, "application/json", json.to_string());
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
