//! [`Problem`]: apps, running tasks, offers and options as one JSON document.

use super::marathon;
use super::reader::{Node, ReadError, ReadFault, TextError};
use super::syntax::{MAX_DOCUMENT_BYTES, read_json_up_to};
use crate::agent::{Domain, Unavailability};
use crate::attributes::{Attributes, WrittenAttributes};
use crate::constraint::Location;
use crate::offer::Offer;
use crate::placement::model::app::{App, full_id};
use crate::placement::model::planner::Planner;
use crate::placement::model::running::Running;
use crate::resources::{Resources, Written};
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::Value as Json;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The whole input of a plan, as it can be written down and replayed.
///
/// Keys: `apps` (or `app` for one), `running`, `offers`, `options`, and `about`, a text for people; an unknown one is an error.
///
/// # Examples
///
/// ```
/// use apportion::placement::Problem;
///
/// let problem: Problem = r#"{
///     "app": {"id": "redis", "instances": 2, "constraints": [["hostname", "UNIQUE"]]},
///     "offers": [{"id": "o1", "hostname": "h1", "resources": "cpus:4;mem:1024;ports:[31000-31999]"}]
/// }"#.parse()?;
/// let plan = problem.solve();
/// assert_eq!(plan.launches[0].id.as_str(), "redis.1");
/// assert_eq!(plan.unplaced[0].reasons[0].barrier.to_string(), "hostname UNIQUE: hostname h1 has redis.1");
/// # Ok::<(), apportion::placement::TextError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Problem {
    /// The apps to plan.
    pub apps: Vec<App>,
    /// The tasks that run.
    pub running: Vec<Running>,
    /// The offers.
    pub offers: Vec<Offer>,
    /// The options.
    pub planner: Planner,
}

impl Problem {
    /// Reads JSON text.
    ///
    /// # Errors
    ///
    /// [`TextError`], with line and column of a syntax error or of a wrong value; for text above [`MAX_DOCUMENT_BYTES`].
    pub fn from_slice(text: &[u8]) -> Result<Self, TextError> {
        Self::from_slice_up_to(text, MAX_DOCUMENT_BYTES)
    }

    /// Reads JSON text of at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// As [`Problem::from_slice`], with another limit.
    pub fn from_slice_up_to(text: &[u8], max_bytes: usize) -> Result<Self, TextError> {
        Self::from_json(&read_json_up_to(text, max_bytes)?).map_err(|error| error.locate(text))
    }

    /// Reads a JSON value.
    ///
    /// # Errors
    ///
    /// [`ReadError`], with the path of the value that is wrong.
    pub fn from_json(json: &Json) -> Result<Self, ReadError> {
        let root = Node::root(json);
        root.only(&["about", "apps", "app", "running", "offers", "options"])?;
        root.get("about").map_or(Ok(""), |about| about.text())?;
        let mut problem = Self::default();
        let mut ids = IndexSet::new();
        let mut add = |node: Node<'_>| {
            let mut app = App::read(node)?;
            app.id = read_app_id(node.required("id", "the id of the app")?)?;
            if !ids.insert(app.id.clone()) {
                return Err(node.error(ReadFault::Duplicate(app.id.into())));
            }
            problem.apps.push(app);
            Ok(())
        };
        if let Some(apps) = root.get("apps") {
            apps.items("a list of apps")?.try_for_each(&mut add)?;
        }
        root.get("app").map_or(Ok(()), &mut add)?;
        if let Some(running) = root.get("running") {
            problem.running = running.items("a list of tasks")?.map(read_running).collect::<Result<_, _>>()?;
        }
        if let Some(offers) = root.get("offers") {
            let mut ids = IndexSet::new();
            for node in offers.items("a list of offers")? {
                let offer = read_offer(node)?;
                if !ids.insert(offer.id.clone()) {
                    return Err(node.error(ReadFault::Duplicate(offer.id.to_string())));
                }
                problem.offers.push(offer);
            }
        }
        if let Some(options) = root.get("options") {
            problem.planner = read_options(options)?;
        }
        Ok(problem)
    }
}

impl FromStr for Problem {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::from_slice(text.as_bytes())
    }
}

fn read_running(node: Node<'_>) -> Result<Running, ReadError> {
    node.only(&[
        "app",
        "task",
        "hostname",
        "attributes",
        "region",
        "zone",
        "ports",
        "version",
        "resources",
        "image",
        "labels",
    ])?;
    let app = read_app_id(node.required("app", "the id of its app")?)?;
    let task = node.required("task", "the id of the task")?.name()?;
    let mut running = Running::new(app, task, read_location(node)?);
    if let Some(ports) = node.get("ports") {
        for port in ports.items("a list of ports")? {
            if !port.json().is_null() {
                let number = port.whole(u64::MAX)?;
                running.ports.insert(&std::iter::once(number..=number).collect());
            }
        }
    }
    running.version = node.get("version").map(marathon::version).transpose()?;
    running.resources = node.get("resources").map(read_resources).transpose()?;
    running.image = node.get("image").map(|image| image.text().map(Text::new)).transpose()?;
    running.labels = node.get("labels").map(marathon::read_labels).transpose()?.map(Arc::new);
    Ok(running)
}

/// Reads the id of an app, as Marathon takes it: of small letters, digits, hyphens and dots, and from the root.
fn read_app_id(node: Node<'_>) -> Result<Text, ReadError> {
    let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-./".contains(&letter);
    let id = node.name()?;
    if !id.bytes().all(is_plain) {
        return Err(node.wrong("an id of small letters, digits, hyphens and dots"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in id.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(node.wrong("an id within the root, such as /shop/db")),
            ".." => {}
            _ => parts.push(part),
        }
    }
    if parts.is_empty() { Err(node.wrong("the id of the app")) } else { Ok(full_id(&parts.join("/"))) }
}

fn read_location(node: Node<'_>) -> Result<Location, ReadError> {
    let named = |key: &'static str| node.get(key).map(|name| name.name().map(Text::new)).transpose();
    let mut location = Location::new(node.required("hostname", "the name of the host")?.name()?);
    (location.region, location.zone) = (named("region")?, named("zone")?);
    if let Some(attributes) = node.get("attributes") {
        location.attributes = read_attributes(attributes)?;
    }
    Ok(location)
}

fn read_offer(node: Node<'_>) -> Result<Offer, ReadError> {
    node.only(&["id", "hostname", "resources", "attributes", "region", "zone", "role", "unavailability"])?;
    let id = node.required("id", "the id of the offer")?.name()?;
    let resources = read_resources(node.required("resources", RESOURCES)?)?;
    let role = node.get("role").map(marathon::role).transpose()?.unwrap_or_default();
    let location = read_location(node)?;
    let mut offer = Offer::new(id, "place", role, location.hostname.as_str(), resources);
    offer.attributes = location.attributes;
    if location.region.is_some() || location.zone.is_some() {
        let domain = Domain { region: location.region.unwrap_or_default(), zone: location.zone.unwrap_or_default() };
        offer.domain = Some(domain);
    }
    if let Some(window) = node.get("unavailability") {
        window.only(&["start", "duration"])?;
        offer.unavailability = Some(Unavailability {
            start: read_time(window.required("start", "a number of seconds")?)?,
            duration: window.get("duration").map(read_span).transpose()?,
        });
    }
    Ok(offer)
}

fn read_options(node: Node<'_>) -> Result<Planner, ReadError> {
    node.only(&[
        "seed",
        "strategy",
        "accepted_resource_roles",
        "region",
        "now",
        "draining_seconds",
        "gpu_scheduling_behavior",
    ])?;
    let mut planner = Planner::new();
    planner.seed = node.get("seed").map(|seed| seed.whole(u64::MAX)).transpose()?;
    planner.region = node.get("region").map(|region| region.name().map(Text::new)).transpose()?;
    planner.accepted_roles = node.get("accepted_resource_roles").map(marathon::roles).transpose()?;
    if let Some(strategy) = node.get("strategy") {
        planner.strategy = marathon::strategy(strategy)?;
    }
    if let Some(now) = node.get("now") {
        planner.now = read_time(now)?;
    }
    if let Some(draining) = node.get("draining_seconds") {
        planner.draining = read_span(draining)?;
    }
    if let Some(behavior) = node.get("gpu_scheduling_behavior") {
        planner.gpu_behavior = marathon::gpu_behavior_by_name(behavior)?;
    }
    Ok(planner)
}

fn read_time(node: Node<'_>) -> Result<Time, ReadError> {
    Time::try_from_secs_f64(node.number()?).map_err(|_| node.wrong("a number of seconds, from 0"))
}

fn read_span(node: Node<'_>) -> Result<Duration, ReadError> {
    read_time(node).map(|time| time.since(Time::ZERO))
}

const RESOURCES: &str = "resources: text such as \"cpus:1;mem:64\", or an array of v1 objects";

fn read_resources(node: Node<'_>) -> Result<Resources, ReadError> {
    let written = Written::deserialize(node.json()).map_err(|_| node.wrong(RESOURCES))?;
    Resources::try_from(written).map_err(|error| node.error(error))
}

fn read_attributes(node: Node<'_>) -> Result<Attributes, ReadError> {
    const ATTRIBUTES: &str = "attributes: text such as \"rack:r1\", an object, or an array of v1 objects";
    let written = WrittenAttributes::deserialize(node.json()).map_err(|_| node.wrong(ATTRIBUTES))?;
    Attributes::try_from(written).map_err(|error| node.error(error))
}
