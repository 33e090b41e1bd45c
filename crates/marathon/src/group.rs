//! Reads groups: a tree of apps, as a client puts it to Marathon's `/v2/groups`.
//!
//! `{"id": "/shop", "dependencies": ["/mail"], "apps": [...], "groups": [...]}`: ids are relative to the enclosing group, and a
//! dependency of a group is one of all apps within it (Marathon's page *Application Groups*). What Marathon prints is read too:
//! lists of apps, the root group, and apps with what is known of their tasks.

use crate::definition::{AppDefinition, Dependency, Scope, canonical_path};
use crate::known_keys::{self, PassedOver};
use apportion::Text;
use apportion::placement::{JsonNode, ReadError};

/// The content of one document: an app, a list of apps, or a group of apps.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Document {
    /// The id of the group; `None` if the document is an app or a list of apps.
    pub group: Option<Text>,
    /// All apps within the group or the list, or the one app.
    pub apps: Vec<AppDefinition>,
    /// The keys of groups that have no effect; those of an app are with [the app](AppDefinition::passed_over).
    pub passed_over: Vec<PassedOver>,
}

impl Document {
    /// Reads an app, a list of apps, or a group: an object that has `apps` or `groups` is a group, and without an `id` the
    /// root. An object with the app under `app` is what Marathon prints of one app. `file` is the name of the document in
    /// messages.
    ///
    /// # Errors
    ///
    /// A [`ReadError`] with the place of the first value that is wrong.
    pub fn read(node: JsonNode<'_>, file: &str) -> Result<Self, ReadError> {
        let mut document = Self { group: None, apps: Vec::new(), passed_over: Vec::new() };
        if node.json().is_array() {
            for one in node.items("a list of apps")? {
                document.apps.push(app(one, file, None, &[])?);
            }
            return Ok(document);
        }
        let object = node.object()?;
        if object.contains_key("apps") || object.contains_key("groups") {
            document.group = Some(document.read_group(node, (file, "/"), &[])?);
        } else if let Some(one) = node.get("app").filter(|_| !object.contains_key("id")) {
            document.apps.push(app(one, file, None, &[])?);
        } else {
            document.apps.push(app(node, file, None, &[])?);
        }
        Ok(document)
    }

    /// Reads a group within another one.
    fn read_group(
        &mut self,
        node: JsonNode<'_>,
        (file, parent): (&str, &str),
        inherited: &[Dependency],
    ) -> Result<Text, ReadError> {
        node.object()?;
        let name = match node.get("id") {
            None if parent == "/" => "/".into(),
            None => {
                return Err(node.required("id", "the id of the group").err().unwrap_or_else(|| node.wrong("a group")));
            }
            Some(id) => {
                let name = canonical_path(parent, id.name()?).filter(|name| is_within(name, parent));
                let name = name.ok_or_else(|| id.wrong(format!("an id within {parent}")))?;
                check_id(&id)?;
                name
            }
        };
        if let Some(pods) = node.get("pods").filter(|pods| pods.json().as_array().is_none_or(|pods| !pods.is_empty())) {
            return Err(pods.wrong("nothing: pods are not supported"));
        }
        self.passed_over.extend(known_keys::of_group(node.json(), file, &name));
        let mut dependencies = inherited.to_vec();
        dependencies.extend(Dependency::read_all(node, Scope::Group(&name))?);
        if let Some(own) = node.get("apps") {
            for one in own.items("a list of apps")? {
                self.apps.push(app(one, file, Some(&name), &dependencies)?);
            }
        }
        if let Some(groups) = node.get("groups") {
            for one in groups.items("a list of groups")? {
                self.read_group(one, (file, &name), &dependencies)?;
            }
        }
        Ok(name)
    }
}

/// Returns whether an id is that of the group, or of an app or a group within it.
pub fn is_within(id: &str, group: &str) -> bool {
    group == "/" || id.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads an app of a group, or one without a group around it.
fn app(
    node: JsonNode<'_>,
    file: &str,
    group: Option<&str>,
    inherited: &[Dependency],
) -> Result<AppDefinition, ReadError> {
    node.object()?;
    let (id, parent) = (node.required("id", "the id of the app")?, group.unwrap_or("/"));
    let expected = || match parent {
        "/" => id.wrong("the id of the app"),
        _ => id.wrong(format!("an id within {parent}")),
    };
    let name = canonical_path(parent, id.name()?).filter(|name| is_within(name, parent) && name != parent);
    let name = name.ok_or_else(expected)?;
    check_id(&id)?;
    // The dependencies of an app of a group are relative to the group that its id names.
    let own_group =
        name.rsplit_once('/').map_or("/", |(group, _)| if group.is_empty() { "/" } else { group }).to_owned();
    let scope = if group.is_some() { Scope::Group(&own_group) } else { Scope::Root };
    AppDefinition::read(node, (file, name, scope), inherited)
}

/// Rejects an id that Marathon would reject (`pathType` of its schema of apps, except for the places of hyphens and dots).
/// Task ids are made of app ids with `/` replaced by `_`: two apps that differ in these alone would share task ids.
fn check_id(id: &JsonNode<'_>) -> Result<(), ReadError> {
    let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-./".contains(&letter);
    if id.name()?.bytes().all(is_plain) {
        return Ok(());
    }
    Err(id.wrong("an id of small letters, digits, hyphens and dots"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn read(json: &Json) -> Result<Document, String> {
        Document::read(JsonNode::root(json), "shop.json").map_err(|error| error.to_string())
    }

    #[test]
    fn apps_of_groups_have_full_ids_and_the_dependencies_of_all_their_groups() {
        let written = read(
            &json!({"id": "shop", "dependencies": ["/mail"], "apps": [{"id": "db", "cmd": "d"}], "groups": [
            {"id": "/shop/front", "dependencies": ["../db"], "apps": [{"id": "web", "cmd": "w", "dependencies": ["cache"]},
                {"id": "/shop/front/cache", "cmd": "c"}]}]}),
        );
        let written = written.unwrap();
        assert_eq!(written.group.as_deref(), Some("/shop"));
        let apps: Vec<(&str, Vec<&str>)> = written
            .apps
            .iter()
            .map(|app| (app.app.id.as_str(), app.dependencies.iter().map(|needed| needed.id.as_str()).collect()))
            .collect();
        let expected = [
            ("/shop/db", vec!["/mail"]),
            ("/shop/front/web", vec!["/mail", "/shop/db", "/shop/front/cache"]),
            ("/shop/front/cache", vec!["/mail", "/shop/db"]),
        ];
        assert_eq!(apps, expected);
        assert_eq!(written.apps[1].dependencies[1].source, "groups[0].dependencies[0]: found \"../db\"");
    }

    #[test]
    fn the_dependencies_of_an_app_alone_count_from_the_root_and_need_not_exist() {
        for (written, id) in [("db", "/db"), ("./db", "/db"), ("../../db", "/db"), ("/shop/db", "/shop/db")] {
            let lone = json!({"id": "/shop/web", "cmd": "true", "dependencies": [written]});
            for document in [lone.clone(), json!([lone]), json!({"app": lone})] {
                let read = read(&document).unwrap();
                let dependency = &read.apps[0].dependencies[0];
                assert_eq!((read.group.as_ref(), dependency.id.as_str(), dependency.is_required), (None, id, false));
            }
        }
    }

    #[test]
    fn what_marathon_prints_is_read() {
        let app = json!({"id": "/shop/web", "cmd": "true", "version": "2020-01-01T00:00:00.000Z", "tasksRunning": 1,
            "versionInfo": {"lastConfigChangeAt": "2020-01-01T00:00:00.000Z"}, "deployments": [], "uris": [], "executor": ""});
        let root = json!({"id": "/", "apps": [], "dependencies": [], "pods": [], "enforceRole": false, "version": "x",
            "groups": [{"id": "/shop", "apps": [app], "groups": [], "pods": []}]});
        for (document, group) in [
            (app.clone(), None),
            (json!({"app": app}), None),
            (json!([app]), None),
            (json!({"apps": [app]}), Some("/")),
            (root, Some("/")),
        ] {
            let read = read(&document).unwrap();
            assert_eq!((read.group.as_deref(), read.apps[0].app.id.as_str()), (group, "/shop/web"), "{document}");
            assert!(read.passed_over.is_empty() && read.apps[0].passed_over.is_empty(), "{document}");
        }
        let more = read(&json!({"id": "/a", "apps": [], "scaleBy": 2})).unwrap();
        assert_eq!(more.passed_over[0].key, "scaleBy");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (json!("a"), "found \"a\", expected an object"),
            (json!([1]), "[0]: found 1, expected an object"),
            (json!({"id": "a", "groups": [{"apps": []}]}), "groups[0].id: is not there: expected the id of the group"),
            (
                json!({"id": "a", "apps": [], "pods": [{}]}),
                "pods: found [{}], expected nothing: pods are not supported",
            ),
            (json!({"id": "a_b"}), "id: found \"a_b\", expected an id of small letters, digits, hyphens and dots"),
            (json!({"id": "A", "apps": []}), "id: found \"A\", expected an id of small letters"),
            (json!({"id": "a", "apps": {}}), "apps: found {}, expected a list of apps"),
            (json!({"id": "a", "apps": [{}]}), "apps[0].id: is not there: expected the id of the app"),
            (json!({"id": "a", "apps": [{"id": "/b"}]}), "apps[0].id: found \"/b\", expected an id within /a"),
            (json!({"id": "a", "apps": [{"id": "/a"}]}), "apps[0].id: found \"/a\", expected an id within /a"),
            (json!({"id": "a", "apps": [{"id": "../c"}]}), "apps[0].id: found \"../c\", expected an id within /a"),
            (json!({"id": "a", "groups": [{"id": "/ab"}]}), "groups[0].id: found \"/ab\", expected an id within /a"),
            (
                json!({"id": "a", "groups": [{"id": "b", "apps": [{"id": "c", "cmd": "c"}, {"id": "d", "cpus": "many"}]}]}),
                "groups[0].apps[1].cpus: found \"many\", expected a number",
            ),
        ];
        for (json, message) in cases {
            let error = read(&json).unwrap_err();
            assert!(error.starts_with(message), "{json}: {error}");
        }
    }
}
