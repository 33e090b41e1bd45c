//! Mesos' older endpoints for what operators set: forms and bare JSON, with the same effect as the calls of `/api/v1`.

mod agents;
mod amounts;
mod frameworks;
mod reading;
mod summary;
mod tasks;

pub(crate) use agents::{Attributes, domain};
pub(crate) use amounts::Amounts;
pub(crate) use reading::Reading;
pub(crate) use tasks::Task;

use crate::authentication::Realm;
use crate::endpoint::tail;
use crate::gate::Gate;
use crate::operator_api::{Asked, maintenance, operations, quota, roles, teardown};
use crate::seen::Seen;
use crate::transport::answer::{Answer, bad_request, only};
use crate::transport::query::Query;
use apportion::AgentId;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value as Json, json};
use std::borrow::Cow;

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum V0 {
    /// `/roles`
    Roles,
    /// `/weights`
    Weights,
    /// `/quota`, and `/quota/ROLE`
    Quota,
    /// `/teardown`
    Teardown,
    /// `/reserve`
    Reserve,
    /// `/unreserve`
    Unreserve,
    /// `/create-volumes`
    CreateVolumes,
    /// `/destroy-volumes`
    DestroyVolumes,
    /// `/maintenance/schedule`
    MaintenanceSchedule,
    /// `/maintenance/status`
    MaintenanceStatus,
    /// `/machine/down`
    MachineDown,
    /// `/machine/up`
    MachineUp,
    /// The state of the cluster
    Reading(Reading),
}

impl V0 {
    /// Returns the methods, as `Allow` lists them.
    fn allowed(self) -> &'static str {
        match self {
            Self::Roles | Self::MaintenanceStatus | Self::Reading(_) => "GET",
            Self::Weights => "GET, PUT",
            Self::Quota => "GET, POST, DELETE",
            Self::MaintenanceSchedule => "GET, POST",
            Self::Teardown
            | Self::Reserve
            | Self::Unreserve
            | Self::CreateVolumes
            | Self::DestroyVolumes
            | Self::MachineDown
            | Self::MachineUp => "POST",
        }
    }

    /// Checks a request. Returns what it asks for.
    pub(crate) fn check(self, gate: &Gate, request: &Request<Bytes>) -> Result<Asked, Answer> {
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let is_read = method == Method::GET;
        let realm = if is_read { Realm::ReadOnly } else { Realm::ReadWrite };
        gate.settings.authentication.check(realm, request.headers())?;
        gate.leadership().check(request.uri())?;
        if !self.allowed().split(", ").any(|allowed| allowed == method.as_str()) {
            return Err(only(self.allowed()));
        }
        let body = || read_json(request.body());
        let operation = |kind: &str, list: &str| {
            let agent = AgentId::from(field(request.body(), "slaveId")?.as_ref());
            let given = read_json(field(request.body(), list)?.as_bytes())?;
            operations::run(agent, operations::read(kind, &json!({ list: given }))?).map(Asked::Change)
        };
        Ok(match self {
            Self::Reading(reading) => {
                Asked::Seen(Seen::Reading(reading, Query::of(request.uri()).only(reading.parameters())))
            }
            Self::Roles => Asked::Survey(|master| roles::list_v0(&master.state())),
            Self::Weights if is_read => Asked::Question(|leader| roles::weights(&leader.roles()).into()),
            Self::Weights => Asked::Change(roles::set_weights(&body()?)?),
            Self::Quota if is_read => Asked::Question(|leader| quota::status(&leader.roles())),
            Self::Quota if method == Method::POST => Asked::Change(quota::set(&body()?)?),
            Self::Quota => Asked::Change(quota::remove(&tail(request.uri().path()))?),
            Self::Teardown => Asked::Change(teardown(field(request.body(), "frameworkId")?.into_owned())),
            Self::Reserve => operation("RESERVE_RESOURCES", "resources")?,
            Self::Unreserve => operation("UNRESERVE_RESOURCES", "resources")?,
            Self::CreateVolumes => operation("CREATE_VOLUMES", "volumes")?,
            Self::DestroyVolumes => operation("DESTROY_VOLUMES", "volumes")?,
            Self::MaintenanceSchedule if is_read => Asked::Question(|leader| leader.machines.schedule()),
            Self::MaintenanceSchedule => Asked::Change(maintenance::update(&body()?)?),
            Self::MaintenanceStatus => Asked::Question(|leader| leader.machines.status()),
            Self::MachineDown => Asked::Change(maintenance::start(&body()?)?),
            Self::MachineUp => Asked::Change(maintenance::stop(&body()?)?),
        })
    }
}

fn read_json(body: &[u8]) -> Result<Json, Answer> {
    serde_json::from_slice(body).map_err(|error| bad_request(format!("not JSON: {error}")))
}

/// Returns a field of a form.
fn field<'a>(form: &'a [u8], name: &str) -> Result<Cow<'a, str>, Answer> {
    let found = form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value);
    found.ok_or_else(|| bad_request(format!("expected a form with the field '{name}'")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leadership::Leadership;
    use crate::settings::Settings;
    use std::time::Duration;

    fn ask(place: V0, method: &str, path: &str, body: &str) -> Result<Asked, Answer> {
        let request = Request::builder().method(method).uri(path).body(body.to_owned().into()).unwrap();
        place.check(&Gate::new(Settings::default(), Duration::ZERO), &request)
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        for (place, method, allowed) in [
            (V0::Roles, "POST", "GET"),
            (V0::Weights, "POST", "GET, PUT"),
            (V0::Quota, "PUT", "GET, POST, DELETE"),
            (V0::MachineDown, "GET", "POST"),
            (V0::Teardown, "HEAD", "POST"),
        ] {
            let answer = ask(place, method, "/", "").err().unwrap();
            assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &allowed.parse().unwrap()));
        }
    }

    #[test]
    fn requests_that_lack_something_are_refused() {
        for (place, method, path, body) in [
            (V0::Weights, "PUT", "/weights", ""),
            (V0::Weights, "PUT", "/weights", "[{\"role\":\"a b\",\"weight\":1}]"),
            (V0::Quota, "POST", "/quota", "{\"role\":\"a\"}"),
            (V0::Quota, "DELETE", "/quota/a%20b", ""),
            (V0::Teardown, "POST", "/teardown", "framework=f1"),
            (V0::Reserve, "POST", "/reserve", "slaveId=a1"),
            (V0::Reserve, "POST", "/reserve", "slaveId=a1&resources=[{]"),
            (V0::Reserve, "POST", "/reserve", "resources=[]"),
            (V0::CreateVolumes, "POST", "/create-volumes", "slaveId=a1&volumes=[]"),
            (V0::MachineUp, "POST", "/machine/up", "{}"),
            (V0::MaintenanceSchedule, "POST", "/maintenance/schedule", "[]"),
        ] {
            assert_eq!(
                ask(place, method, path, body).err().map(|answer| answer.status().as_u16()),
                Some(400),
                "{body}"
            );
        }
        assert!(ask(V0::Quota, "DELETE", "/master/quota/eng/web", "").is_ok());
        assert!(ask(V0::Teardown, "POST", "/teardown", "a=b&frameworkId=f%2D1").is_ok());
    }

    #[test]
    fn another_leader_is_named() {
        let gate = Gate::new(Settings::default(), Duration::ZERO);
        gate.set_leadership(Leadership::Standby(Some("other:5050".into())));
        let request = Request::get("/roles?x=1").body(Bytes::new()).unwrap();
        let answer = V0::Roles.check(&gate, &request).err().unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (307, &"//other:5050/roles?x=1".parse().unwrap())
        );
    }
}
