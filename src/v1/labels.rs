//! Labels of a `FrameworkInfo` that stand for fields which Mesos does not have.

use super::V1Error;
use crate::details::Details;
use crate::framework::Framework;
use crate::json::{Json, JsonRef};
use std::time::Duration;

/// The label for [`Framework::offer_timeout`], in seconds.
const OFFER_TIMEOUT: &str = "apportion.offer_timeout";

/// Returns the details of a framework with a label for each such field.
pub(super) fn write(framework: &Framework) -> Details {
    let mut details = framework.details.clone();
    if let Some(timeout) = framework.offer_timeout {
        let mut labels = others(&details);
        labels.push(Json::object([("key", OFFER_TIMEOUT.to_owned()), ("value", timeout.as_secs_f64().to_string())]));
        details.insert("labels", Json::object([("labels", Json::array(labels))]));
    }
    details
}

/// Moves such labels from the details of a framework to the fields that they stand for.
pub(super) fn read(framework: &mut Framework) -> Result<(), V1Error> {
    let Some(labels) = framework.details.get("labels").and_then(|labels| labels.get("labels")) else { return Ok(()) };
    let named = labels.elements().find(|label| is_ours(*label));
    let Some(label) = named else { return Ok(()) };
    let value = label.get("value").and_then(|value| value.as_str()).unwrap_or_default();
    let timeout = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let invalid = V1Error::Framework("labels", "such that apportion.offer_timeout is a number of seconds");
    framework.offer_timeout = Some(timeout.ok_or(invalid)?);
    let labels = others(&framework.details);
    if labels.is_empty() {
        framework.details.remove("labels");
    } else {
        framework.details.insert("labels", Json::object([("labels", Json::array(labels))]));
    }
    Ok(())
}

fn is_ours(label: JsonRef<'_>) -> bool {
    label.get("key").and_then(|key| key.as_str()).as_deref() == Some(OFFER_TIMEOUT)
}

/// The labels that stand for nothing else.
fn others(details: &Details) -> Vec<Json> {
    let labels = details.get("labels").and_then(|labels| labels.get("labels"));
    let labels = labels.into_iter().flat_map(|labels| labels.elements());
    labels.filter(|label| !is_ours(*label)).map(Json::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(text: &str) -> Framework {
        let mut framework = Framework::new("f");
        framework.details.insert("labels", Json::parse(text).unwrap());
        framework
    }

    #[test]
    fn a_label_stands_for_the_timeout_and_others_stay() {
        let mut framework = labelled(
            r#"{"labels": [{"key": "team", "value": "web"}, {"key": "apportion.offer_timeout", "value": "2.5"}]}"#,
        );
        read(&mut framework).unwrap();
        assert_eq!(framework.offer_timeout, Some(Duration::from_millis(2500)));
        let left = framework.details.get("labels").unwrap().get("labels").unwrap();
        assert_eq!(left.elements().count(), 1);
        let mut again = Framework { details: write(&framework), offer_timeout: None, ..framework.clone() };
        read(&mut again).unwrap();
        assert_eq!(again, framework);
    }

    #[test]
    fn nothing_is_left_of_labels_that_were_only_this_one() {
        let mut framework = labelled(r#"{"labels": [{"key": "apportion.offer_timeout", "value": "0"}]}"#);
        read(&mut framework).unwrap();
        assert_eq!(framework.offer_timeout, Some(Duration::ZERO));
        assert!(framework.details.is_empty() && !write(&framework).is_empty());
    }

    #[test]
    fn what_is_no_number_of_seconds_is_an_error() {
        for value in ["", "soon", "-1", "NaN", "1e300"] {
            let text = format!(r#"{{"labels": [{{"key": "apportion.offer_timeout", "value": "{value}"}}]}}"#);
            let mut framework = labelled(&text);
            let before = framework.clone();
            assert!(read(&mut framework).is_err() && framework == before, "{value}");
        }
    }
}
