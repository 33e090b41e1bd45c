//! `GET /apportion/explain`: why a framework is not offered an agent, or any.

use crate::transport::answer::{Answer, bad_request, text};
use crate::transport::query::Query;
use apportion::allocator::AllocatorError;
use apportion::{AgentId, CommandError, Explanation, FrameworkId, Master, Role};
use http::StatusCode;
use serde_json::{Value as Json, json};

/// A question: why a framework is not offered something, under one of its roles or all, of one agent or all.
#[derive(Debug)]
pub(super) struct Question {
    framework: FrameworkId,
    role: Option<Role>,
    agent: Option<AgentId>,
}

impl Question {
    pub(super) fn read(query: &Query) -> Result<Self, Answer> {
        let framework = query.text("framework").ok_or_else(|| bad_request("expected the parameter 'framework'"))?;
        let role = query.text("role").map(Role::new).transpose();
        Ok(Self {
            framework: framework.into(),
            role: role.map_err(|error| bad_request(format!("role: {error}")))?,
            agent: query.text("agent").map(AgentId::from),
        })
    }

    pub(super) fn answer(self, master: &Master) -> Result<Json, Answer> {
        let explained = master.explain(&self.framework, self.role.as_ref(), self.agent.as_ref());
        let explanations: Vec<Json> = explained.map_err(|error| refusal(&error))?.iter().map(form).collect();
        Ok(json!({"at": master.now(), "explanations": explanations}))
    }
}

/// Returns an explanation as the journal prints it; each reason has its `text` for people, too.
pub(super) fn form(explanation: &Explanation) -> Json {
    let mut json = json!(explanation);
    let reasons = json["reasons"].as_array_mut().into_iter().flatten();
    for (form, (reason, _)) in reasons.zip(&explanation.reasons) {
        form["text"] = reason.to_string().into();
    }
    json
}

/// Returns the answer to a question about what is not there.
#[expect(clippy::wildcard_enum_match_arm, reason = "other errors are the caller's mistake, all alike")]
pub(super) fn refusal(error: &CommandError) -> Answer {
    match error {
        CommandError::Allocator(AllocatorError::UnknownFramework(_) | AllocatorError::UnknownAgent(_)) => {
            text(StatusCode::NOT_FOUND, error.to_string())
        }
        _ => bad_request(error.to_string()),
    }
}
