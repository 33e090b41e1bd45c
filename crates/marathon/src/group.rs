//! Reads groups: a tree of apps, as a client puts it to Marathon's `/v2/groups`.
//!
//! `{"id": "/shop", "dependencies": ["/mail"], "apps": [...], "groups": [...]}`: ids are relative to the enclosing group, and a
//! dependency of a group is one of all apps within it (Marathon's page *Application Groups*).

use crate::definition::{AppDefinition, Dependency, canonical_path};
use apportion::Text;
use apportion::placement::{JsonNode, ReadError};

/// The content of one document: an app, or a group of apps.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Document {
    /// The id of the group; `None` if the document is an app.
    pub group: Option<Text>,
    /// All apps within the group, or the one app.
    pub apps: Vec<AppDefinition>,
}

impl Document {
    /// Reads an app or a group: an object that has `apps` or `groups` is a group. `file` is the name of the document in
    /// messages.
    ///
    /// # Errors
    ///
    /// A [`ReadError`] with the place of the first value that is wrong.
    pub fn read(node: JsonNode<'_>, file: &str) -> Result<Self, ReadError> {
        let object = node.object()?;
        let mut apps = Vec::new();
        if !object.contains_key("apps") && !object.contains_key("groups") {
            apps.push(app(node, file, "/", &[])?);
            return Ok(Self { group: None, apps });
        }
        let group = group(node, (file, "/"), &[], &mut apps)?;
        Ok(Self { group: Some(group), apps })
    }
}

/// Returns whether an id is that of the group, or of an app or a group within it.
pub fn is_within(id: &str, group: &str) -> bool {
    group == "/" || id.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn group(
    node: JsonNode<'_>,
    (file, parent): (&str, &str),
    inherited: &[Dependency],
    apps: &mut Vec<AppDefinition>,
) -> Result<Text, ReadError> {
    node.only(&["id", "dependencies", "apps", "groups", "version"])?;
    let id = node.required("id", "the id of the group")?;
    let name = canonical_path(parent, id.name()?).filter(|name| is_within(name, parent));
    let name = name.ok_or_else(|| id.wrong(format!("an id within {parent}")))?;
    check_id(&id)?;
    let mut dependencies = inherited.to_vec();
    dependencies.extend(Dependency::read_all(node, &name)?);
    if let Some(own) = node.get("apps") {
        for one in own.items("a list of apps")? {
            apps.push(app(one, file, &name, &dependencies)?);
        }
    }
    if let Some(groups) = node.get("groups") {
        for one in groups.items("a list of groups")? {
            group(one, (file, &name), &dependencies, apps)?;
        }
    }
    Ok(name)
}

fn app(node: JsonNode<'_>, file: &str, parent: &str, inherited: &[Dependency]) -> Result<AppDefinition, ReadError> {
    node.object()?;
    let id = node.required("id", "the id of the app")?;
    let expected = || match parent {
        "/" => id.wrong("the id of the app"),
        _ => id.wrong(format!("an id within {parent}")),
    };
    let name = canonical_path(parent, id.name()?).filter(|name| is_within(name, parent) && name != parent);
    let name = name.ok_or_else(expected)?;
    check_id(&id)?;
    // The dependencies of an app without a group around it are relative to the group that its id names.
    let group = name.rsplit_once('/').map_or("/", |(group, _)| group).to_owned();
    AppDefinition::read(node, (file, name, &group), inherited)
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
        let written = read(&json!({"id": "shop", "dependencies": ["/mail"], "apps": [{"id": "db"}], "groups": [
            {"id": "/shop/front", "dependencies": ["../db"], "apps": [{"id": "web", "dependencies": ["cache"]},
                {"id": "/shop/front/cache"}]}]}));
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
    fn an_app_alone_is_of_the_group_that_its_id_names() {
        let written = read(&json!({"id": "/shop/web", "dependencies": ["db"]})).unwrap();
        assert_eq!((written.group, written.apps[0].dependencies[0].id.as_str()), (None, "/shop/db"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (json!([]), "found [], expected an object"),
            (json!({"apps": []}), "id: is not there: expected the id of the group"),
            (json!({"id": "a_b"}), "id: found \"a_b\", expected an id of small letters, digits, hyphens and dots"),
            (json!({"id": "A", "apps": []}), "id: found \"A\", expected an id of small letters"),
            (json!({"id": "a", "apps": {}}), "apps: found {}, expected a list of apps"),
            (json!({"id": "a", "apps": [{}]}), "apps[0].id: is not there: expected the id of the app"),
            (json!({"id": "a", "apps": [{"id": "/b"}]}), "apps[0].id: found \"/b\", expected an id within /a"),
            (json!({"id": "a", "apps": [{"id": "/a"}]}), "apps[0].id: found \"/a\", expected an id within /a"),
            (json!({"id": "a", "apps": [{"id": "../c"}]}), "apps[0].id: found \"../c\", expected an id within /a"),
            (json!({"id": "a", "groups": [{"id": "/ab"}]}), "groups[0].id: found \"/ab\", expected an id within /a"),
            (
                json!({"id": "a", "groups": [], "cpus": 1}),
                "unknown key \"cpus\", expected one of id, dependencies, apps",
            ),
            (
                json!({"id": "a", "groups": [{"id": "b", "apps": [{"id": "c"}, {"id": "d", "cpus": "many"}]}]}),
                "groups[0].apps[1].cpus: found \"many\", expected a number",
            ),
        ];
        for (json, message) in cases {
            let error = read(&json).unwrap_err();
            assert!(error.starts_with(message), "{json}: {error}");
        }
    }
}
