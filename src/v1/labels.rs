//! Labels of a `FrameworkInfo` that stand for fields which Mesos does not have.

use super::V1Error;
use crate::details::Details;
use crate::framework::Framework;
use crate::json::{Json, JsonRef};
use std::time::Duration;

/// The label for [`Framework::offer_timeout`], in seconds.
const OFFER_TIMEOUT: &str = "apportion.offer_timeout";

/// The label for [`Framework::max_offers`].
const MAX_OFFERS: &str = "apportion.max_offers";

/// Returns the details of a framework with a label for each such field.
pub(super) fn write(framework: &Framework) -> Details {
    let mut details = framework.details.clone();
    let timeout = framework.offer_timeout.map(|timeout| (OFFER_TIMEOUT, timeout.as_secs_f64().to_string()));
    let most = framework.max_offers.map(|most| (MAX_OFFERS, most.to_string()));
    let ours: Vec<(&str, String)> = most.into_iter().chain(timeout).collect();
    if !ours.is_empty() {
        let mut labels = others(&details);
        labels.extend(ours.into_iter().map(|(key, value)| Json::object([("key", key.to_owned()), ("value", value)])));
        details.insert("labels", Json::object([("labels", Json::array(labels))]));
    }
    details
}

/// Moves such labels from the details of a framework to the fields that they stand for.
pub(super) fn read(framework: &mut Framework) -> Result<(), V1Error> {
    let timeout = value(&framework.details, OFFER_TIMEOUT).map(|value| {
        let timeout = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        timeout.ok_or(V1Error::Framework("labels", "such that apportion.offer_timeout is a number of seconds"))
    });
    let most = value(&framework.details, MAX_OFFERS).map(|value| {
        let most = value.parse();
        most.map_err(|_| V1Error::Framework("labels", "such that apportion.max_offers is a number of offers"))
    });
    let (timeout, most) = (timeout.transpose()?, most.transpose()?);
    if timeout.is_none() && most.is_none() {
        return Ok(());
    }
    framework.offer_timeout = timeout.or(framework.offer_timeout);
    framework.max_offers = most.or(framework.max_offers);
    let labels = others(&framework.details);
    if labels.is_empty() {
        framework.details.remove("labels");
    } else {
        framework.details.insert("labels", Json::object([("labels", Json::array(labels))]));
    }
    Ok(())
}

/// The value of the first label of a key; empty if it has none.
fn value(details: &Details, key: &str) -> Option<String> {
    let mut labels = details.get("labels").and_then(|labels| labels.get("labels"))?.elements();
    let label = labels.find(|label| is_of(*label, key))?;
    Some(label.get("value").and_then(|value| value.as_str()).unwrap_or_default().to_string())
}

fn is_of(label: JsonRef<'_>, key: &str) -> bool {
    label.get("key").and_then(|key| key.as_str()).as_deref() == Some(key)
}

fn is_ours(label: JsonRef<'_>) -> bool {
    is_of(label, OFFER_TIMEOUT) || is_of(label, MAX_OFFERS)
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
    fn a_label_stands_for_a_bound_and_others_stay() {
        let mut framework = labelled(
            r#"{"labels": [{"key": "team", "value": "web"}, {"key": "apportion.offer_timeout", "value": "2.5"},
                {"key": "apportion.max_offers", "value": "7"}]}"#,
        );
        read(&mut framework).unwrap();
        assert_eq!((framework.offer_timeout, framework.max_offers), (Some(Duration::from_millis(2500)), Some(7)));
        let left = framework.details.get("labels").unwrap().get("labels").unwrap();
        assert_eq!(left.elements().count(), 1);
        let mut again =
            Framework { details: write(&framework), offer_timeout: None, max_offers: None, ..framework.clone() };
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
            let text = text.replace("offer_timeout", "max_offers");
            assert!(read(&mut labelled(&text)).is_err(), "{text}");
        }
    }
}
