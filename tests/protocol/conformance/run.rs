//! A run: a journal that is fed line by line, what has come out, and which offers are live.
//!
//! In a command `"$offer(f,role,agent)"` stands for the id of the newest live offer to that framework
//! (`?` = any; a last argument `#2` = the second oldest), `"$all(f)"` or `"$all(f,role)"` for the list of
//! its live offers, `"$inverse(f,agent)"` for an inverse offer.

use apportion::journal::Replay;
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// Nothing, or what is not as it should be.
pub(crate) type Check = Result<(), String>;

/// An effect: its name and its fields.
pub(crate) type Effect = (String, Json);

#[derive(Debug, Default)]
pub(crate) struct Run {
    replay: Replay,
    sent: Vec<String>,
    printed: String,
    /// Lines that are not yet fed.
    pending: Vec<String>,
    /// Every offer and inverse offer ever made, in order.
    offers: Vec<Json>,
    inverse: Vec<Json>,
    live: Vec<String>,
    live_inverse: Vec<String>,
    /// What has come out since the last check.
    effects: Vec<Effect>,
    state: Json,
    /// What was wrong with the line after which nothing is read.
    stopped: Option<String>,
}

fn id(body: &Json) -> &str {
    body["id"].as_str().unwrap_or_default()
}

fn find<'a>(known: &'a [Json], wanted: &str) -> &'a Json {
    known.iter().find(|body| id(body) == wanted).unwrap_or(&Json::Null)
}

/// All that comes out of a journal.
pub(crate) fn replay(lines: &[String]) -> String {
    let (mut replay, mut printed) = (Replay::new(), String::new());
    for line in lines {
        if replay.feed(line, |effect| printed.extend([effect, "\n"])).is_err() {
            break;
        }
    }
    printed
}

impl Run {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Every line that was fed.
    pub(crate) fn sent(&self) -> &[String] {
        &self.sent
    }

    /// Every line that came out.
    pub(crate) fn printed(&self) -> &str {
        &self.printed
    }

    /// The state after the last line.
    pub(crate) fn state(&self) -> &Json {
        &self.state
    }

    /// What was wrong with the line after which nothing is read, as the program tells it.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    pub(crate) fn offer(&self, id: &str) -> &Json {
        find(&self.offers, id)
    }

    pub(crate) fn inverse_offer(&self, id: &str) -> &Json {
        find(&self.inverse, id)
    }

    pub(crate) fn live_offers(&self) -> impl Iterator<Item = &Json> {
        self.live.iter().map(|id| self.offer(id))
    }

    /// What has come out since this was last asked.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        self.flush();
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn raw(&mut self, line: &str) {
        self.pending.push(line.to_owned());
    }

    pub(crate) fn command(&mut self, line: &Json) -> Check {
        let text = line.to_string();
        if ["$offer(", "$all(", "$inverse("].iter().any(|placeholder| text.contains(placeholder)) {
            self.flush();
            let line = self.resolve(line)?;
            self.pending.push(line.to_string());
        } else {
            self.pending.push(text);
        }
        Ok(())
    }

    pub(crate) fn decline_all(&mut self, filters: &Json) {
        self.flush();
        let mut by_framework: Vec<(Json, Vec<String>)> = Vec::new();
        for offer in self.live_offers() {
            let framework = &offer["framework"];
            match by_framework.iter_mut().find(|(known, _)| known == framework) {
                Some((_, ids)) => ids.push(id(offer).to_owned()),
                None => by_framework.push((framework.clone(), vec![id(offer).to_owned()])),
            }
        }
        for (framework, offers) in by_framework {
            let mut decline = json!({"framework": framework, "offers": offers});
            if let Some(seconds) = filters.get("refuse_seconds") {
                decline["refuse_seconds"] = seconds.clone();
            }
            self.pending.push(json!({"do": {"decline": decline}}).to_string());
        }
    }

    /// Feeds what is pending.
    pub(crate) fn finish(&mut self) -> Check {
        let before = self.stopped.is_some();
        self.flush();
        match &self.stopped {
            Some(why) if !before => Err(format!("ended with status 2 at the end: {why}")),
            _ => Ok(()),
        }
    }

    /// Feeds what is pending and looks at the state.
    fn flush(&mut self) {
        let mut lines = std::mem::take(&mut self.pending);
        if self.stopped.is_some() {
            return;
        }
        lines.push(json!({"do": {"state": {}}}).to_string());
        let mut effects = Vec::new();
        for line in &lines {
            self.sent.push(line.clone());
            let printed = &mut self.printed;
            let fed = self.replay.feed(line, |effect| {
                printed.extend([effect, "\n"]);
                let mut read: Json = serde_json::from_str(effect).unwrap();
                let Json::Object(emit) = read["emit"].take() else { panic!("not an effect: {effect}") };
                effects.extend(emit);
            });
            if let Err(error) = fed {
                self.stopped = Some(format!("-:{}: {error}", self.replay.line()));
                break;
            }
        }
        let state = effects.pop_if(|(name, _)| self.stopped.is_none() && name == "state");
        self.take(effects, &lines);
        if let Some((_, state)) = state {
            self.live = state["offers"].as_array().unwrap().iter().map(|offer| id(offer).to_owned()).collect();
            self.state = state;
        }
    }

    fn take(&mut self, effects: Vec<Effect>, lines: &[String]) {
        let mut gone: Vec<String> = Vec::new();
        if !effects.iter().any(|(name, _)| name == "error") {
            let read = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
            for command in read {
                for name in ["accept_inverse_offer", "decline_inverse_offer"] {
                    let answered = command["do"][name]["offers"].as_array().into_iter().flatten();
                    gone.extend(answered.filter_map(Json::as_str).map(str::to_owned));
                }
            }
        }
        for (name, body) in &effects {
            match name.as_str() {
                "offer" => {
                    self.live.push(id(body).to_owned());
                    self.offers.push(body.clone());
                }
                "inverse_offer" => {
                    self.live_inverse.push(id(body).to_owned());
                    self.inverse.push(body.clone());
                }
                "rescind" => self.live.retain(|live| body["offer"] != live.as_str()),
                "rescind_inverse_offer" => gone.extend(body["offer"].as_str().map(str::to_owned)),
                _ => {}
            }
        }
        self.live_inverse.retain(|live| !gone.contains(live));
        self.effects.extend(effects);
    }

    fn resolve(&self, json: &Json) -> Result<Json, String> {
        Ok(match json {
            Json::Object(fields) => {
                let resolved = fields.iter().map(|(key, field)| Ok((key.clone(), self.resolve(field)?)));
                Json::Object(resolved.collect::<Result<_, String>>()?)
            }
            Json::Array(items) => items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?,
            Json::String(text) => match placeholder(text) {
                Some(("$offer", arguments)) => self.newest(&arguments)?.into(),
                Some(("$all", arguments)) => self.all(&arguments),
                Some(("$inverse", arguments)) => self.newest_inverse(&arguments)?.into(),
                _ => json.clone(),
            },
            Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
        })
    }

    fn newest(&self, arguments: &[&str]) -> Result<&str, String> {
        let (fields, nth) = match arguments.split_last() {
            Some((last, fields)) if last.starts_with('#') => (fields, last[1..].parse::<usize>().ok()),
            _ => (arguments, None),
        };
        let wanted: Vec<_> = ["framework", "role", "agent"].into_iter().zip(fields).collect();
        let like = |offer: &&Json| wanted.iter().all(|(field, value)| **value == "?" || offer[*field] == **value);
        let found: Vec<&Json> = self.live_offers().filter(like).collect();
        let chosen = match nth {
            Some(nth) => found.get(nth.wrapping_sub(1)),
            None => found.last(),
        };
        chosen.map(|offer| id(offer)).ok_or_else(|| {
            let mut told = format!("expected a live offer {arguments:?}; live offers:");
            for offer in self.live_offers() {
                write!(told, " {}/{}/{}", offer["framework"], offer["role"], offer["agent"]).unwrap();
            }
            told
        })
    }

    fn all(&self, arguments: &[&str]) -> Json {
        let role = arguments.get(1);
        let like = |offer: &&Json| offer["framework"] == arguments[0] && role.is_none_or(|role| offer["role"] == *role);
        self.live_offers().filter(like).map(|offer| offer["id"].clone()).collect()
    }

    fn newest_inverse(&self, arguments: &[&str]) -> Result<&str, String> {
        let mut live = self.live_inverse.iter().rev().map(|id| self.inverse_offer(id));
        let found = live.find(|offer| offer["framework"] == arguments[0] && offer["agent"] == arguments[1]);
        found.map(id).ok_or_else(|| format!("expected a live inverse offer {arguments:?}; there is none"))
    }
}

/// The name and the arguments of a placeholder.
fn placeholder(text: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rest) = text.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    Some((name, arguments.split(',').map(str::trim).collect()))
}
