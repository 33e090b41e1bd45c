//! The files and options that were given, read and checked before anything happens.

use crate::arguments::Arguments;
use crate::cluster;
use apportion::placement::App;
use apportion::{Agent, AgentId};
use indexmap::IndexMap;
use std::path::PathBuf;

/// The apps that run when none is given: the talk's, but for two more of the id `redis`.
const APPS: [(&str, &str); 3] = [
    ("examples/apps/simple-app.json", include_str!("../apps/simple-app.json")),
    ("examples/apps/redis-unique-app.json", include_str!("../apps/redis-unique-app.json")),
    ("examples/apps/nginx-bridge-port-app.json", include_str!("../apps/nginx-bridge-port-app.json")),
];

pub(crate) type Agents = IndexMap<AgentId, Agent>;

/// Reads everything before anything happens; what is wrong is told all at once.
pub(crate) fn check(arguments: &Arguments) -> Result<(Vec<App>, Agents), Vec<String>> {
    let mut wrong = Vec::new();
    let mut apps: IndexMap<String, (String, App)> = IndexMap::new();
    for (file, text) in texts(&arguments.apps) {
        let read = text.and_then(|text| text.parse::<App>().map_err(|error| error.in_file(&file).to_string()));
        match read {
            Err(message) => wrong.push(message),
            Ok(app) => match apps.get(app.id.as_str()) {
                Some((other, _)) => wrong.push(format!("{file}: id: {} is the id of the app in {other} too", app.id)),
                None => drop(apps.insert(app.id.to_string(), (file, app))),
            },
        }
    }
    let agents = match &arguments.cluster {
        None => cluster::made_up(arguments.agents),
        Some(file) => cluster::read(file).unwrap_or_else(|message| {
            wrong.push(message);
            Agents::new()
        }),
    };
    if !wrong.is_empty() {
        return Err(wrong); // what follows would only be in the way
    }
    let names = |names: &mut dyn Iterator<Item = &str>| names.take(12).collect::<Vec<_>>().join(", ");
    for (app, _) in &arguments.scale {
        if !apps.contains_key(app) {
            let known = names(&mut apps.keys().map(String::as_str));
            wrong.push(format!("--scale: there is no app {app}, expected one of {known}"));
        }
    }
    for (i, agent) in arguments.lose.iter().enumerate() {
        if !agents.contains_key(agent) {
            let known = names(&mut agents.keys().map(AgentId::as_str));
            wrong.push(format!("--lose: there is no agent {agent}, expected one of {known}"));
        } else if arguments.lose[..i].contains(agent) {
            wrong.push(format!("--lose: {agent} is lost already"));
        }
    }
    if wrong.is_empty() { Ok((apps.into_values().map(|(_, app)| app).collect(), agents)) } else { Err(wrong) }
}

/// The names of the files with apps, and what is in them.
fn texts(files: &[PathBuf]) -> Vec<(String, Result<String, String>)> {
    if files.is_empty() {
        return APPS.map(|(name, text)| (name.to_owned(), Ok(text.to_owned()))).into();
    }
    let read = |file: &PathBuf| {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"));
        (name, text)
    };
    files.iter().map(read).collect()
}
