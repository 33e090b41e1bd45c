//! Reads the persistent volumes of an app.

use super::grammar;
use super::reader::{Node, ReadError};
use crate::constraint::{ConditionError, Pattern};
use crate::placement::model::volume::{VolumeRequest, VolumeSource};
use crate::text::Text;

impl VolumeRequest {
    /// Reads an item of a container's `volumes`; returns none if it is not persistent.
    pub(super) fn read(node: Node<'_>) -> Result<Option<Self>, ReadError> {
        node.object()?;
        let Some(persistent) = node.get("persistent") else { return Ok(None) };
        persistent.object()?;
        let size = persistent.required("size", "a number above 0")?;
        let amount = size.scalar()?;
        if amount.is_zero() {
            return Err(size.wrong("a number above 0"));
        }
        let path = node.get("containerPath").map(|path| path.text().map(Text::new)).transpose()?;
        let mut volume = Self {
            path: path.unwrap_or_else(|| "a volume".into()),
            size: amount,
            max_size: persistent.get("maxSize").map(|size| size.scalar()).transpose()?,
            source: VolumeSource::default(),
            patterns: Vec::new(),
        };
        if let Some(source) = persistent.get("type") {
            let known = [VolumeSource::Root, VolumeSource::Path, VolumeSource::Mount];
            let named = source.json().as_str().and_then(|name| known.into_iter().find(|source| source.name() == name));
            volume.source = named.ok_or_else(|| source.wrong("root, path or mount"))?;
        }
        if let Some(constraints) = persistent.get("constraints") {
            for constraint in constraints.items("a list of constraints")? {
                volume.patterns.push(pattern(constraint)?);
            }
        }
        Ok(Some(volume))
    }
}

/// Reads a constraint of a volume: Marathon has `LIKE` and `UNLIKE` on `path`, and nothing else.
fn pattern(node: Node<'_>) -> Result<(Pattern, bool), ReadError> {
    let (field, operator, value) = grammar::words(node)?;
    if field != "path" {
        return Err(node.wrong("a constraint on path"));
    }
    let known = vec!["LIKE", "UNLIKE"];
    let like = match operator.as_str() {
        "LIKE" => true,
        "UNLIKE" => false,
        _ => return Err(node.error(ConditionError::Operator { found: operator, known })),
    };
    let pattern = Pattern::read(&operator, value).map_err(|error| node.error(error))?;
    Ok((pattern, like))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn constraints_are_patterns_on_the_path() {
        for (constraint, why) in [
            (json!(["rack", "LIKE", "a"]), "a constraint on path"),
            (json!(["path", "IS", "a"]), "expected one of LIKE, UNLIKE"),
            (json!(["path", "LIKE", "["]), "not a regular expression"),
        ] {
            let volume = json!({"containerPath": "data", "persistent": {"size": 1, "constraints": [constraint]}});
            let error = VolumeRequest::read(Node::root(&volume)).unwrap_err().to_string();
            assert!(error.starts_with("persistent.constraints[0]: ") && error.contains(why), "{error}");
        }
        let volume =
            json!({"persistent": {"size": 1, "type": "mount", "maxSize": 2, "constraints": [["path", "UNLIKE", "a"]]}});
        let volume = VolumeRequest::read(Node::root(&volume)).unwrap().unwrap();
        assert_eq!((volume.source, volume.max_size), (VolumeSource::Mount, Some(crate::Scalar::units(2))));
        assert!(!volume.patterns[0].1);
    }
}
