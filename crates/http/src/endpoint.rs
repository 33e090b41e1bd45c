//! [`Endpoint`]: the endpoint that the path of a request names.

use crate::apportion_api::Resource;
use crate::files::FileCall;
use crate::page::File;
use crate::transport::path::Path;
use crate::v0::{Reading, V0};

/// An endpoint of the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/api/v1/scheduler`
    Scheduler,
    /// `/internal/v1/agent`, the API of agents
    Agent,
    /// `/api/v1`, the API of operators
    Operator,
    /// `/health`
    Health,
    /// `/version`
    Version,
    /// `/redirect`
    Redirect,
    /// `/flags`
    Flags,
    /// `/files/...`
    Files(FileCall),
    /// `/metrics/snapshot`
    MetricsSnapshot,
    /// `/metrics`, as Prometheus reads it
    Metrics,
    /// An endpoint of v0 by which operators change something, such as `/weights`
    V0(V0),
    /// A file of the page for people, `/` among them
    Page(&'static File),
    /// `/apportion/*`, endpoints of our own
    Apportion(Resource),
}

/// The name of a master, which may stand in front of each path.
const OWN: &[&str] = &["master"];

const KNOWN: &[(&str, Endpoint)] = &[
    ("api/v1/scheduler", Endpoint::Scheduler),
    ("api/v1", Endpoint::Operator),
    ("internal/v1/agent", Endpoint::Agent),
    ("apportion/agents", Endpoint::Apportion(Resource::AGENTS)),
    ("apportion/events", Endpoint::Apportion(Resource::Events)),
    ("apportion/explain", Endpoint::Apportion(Resource::Explain)),
    ("apportion/frameworks", Endpoint::Apportion(Resource::FRAMEWORKS)),
    ("apportion/offers", Endpoint::Apportion(Resource::OFFERS)),
    ("apportion/roles", Endpoint::Apportion(Resource::ROLES)),
    ("apportion/summary", Endpoint::Apportion(Resource::Summary)),
    ("apportion/tasks", Endpoint::Apportion(Resource::TASKS)),
    ("apportion/what-if", Endpoint::Apportion(Resource::WhatIf)),
    ("flags", Endpoint::Flags),
    ("health", Endpoint::Health),
    ("redirect", Endpoint::Redirect),
    ("files/browse", Endpoint::Files(FileCall::Browse)),
    ("files/debug", Endpoint::Files(FileCall::Debug)),
    ("files/download", Endpoint::Files(FileCall::Download)),
    ("files/read", Endpoint::Files(FileCall::Read)),
    ("metrics", Endpoint::Metrics),
    ("metrics/snapshot", Endpoint::MetricsSnapshot),
    ("version", Endpoint::Version),
    ("create-volumes", Endpoint::V0(V0::CreateVolumes)),
    ("destroy-volumes", Endpoint::V0(V0::DestroyVolumes)),
    ("machine/down", Endpoint::V0(V0::MachineDown)),
    ("machine/up", Endpoint::V0(V0::MachineUp)),
    ("maintenance/schedule", Endpoint::V0(V0::MaintenanceSchedule)),
    ("maintenance/status", Endpoint::V0(V0::MaintenanceStatus)),
    ("quota", Endpoint::V0(V0::Quota)),
    ("reserve", Endpoint::V0(V0::Reserve)),
    ("roles", Endpoint::V0(V0::Roles)),
    ("teardown", Endpoint::V0(V0::Teardown)),
    ("unreserve", Endpoint::V0(V0::Unreserve)),
    ("frameworks", Endpoint::V0(V0::Reading(Reading::Frameworks))),
    ("slaves", Endpoint::V0(V0::Reading(Reading::Slaves))),
    ("state", Endpoint::V0(V0::Reading(Reading::State))),
    ("state-summary", Endpoint::V0(V0::Reading(Reading::StateSummary))),
    ("tasks", Endpoint::V0(V0::Reading(Reading::Tasks))),
    ("weights", Endpoint::V0(V0::Weights)),
];

impl Endpoint {
    /// Returns the endpoint of the longest known path that the path begins with. With or without `master` in front, `.json` behind
    /// a segment, or a slash at the end, it is the same.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let path = Path::of(path, OWN);
        File::at(&path.text()).map(Self::Page).or_else(|| path.endpoint(KNOWN))
    }

    /// Returns the path, without a slash in front.
    pub(crate) fn name(self) -> &'static str {
        KNOWN.iter().find(|(_, endpoint)| *endpoint == self).map_or("", |(path, _)| path)
    }
}

/// Returns what follows in a path after that which names the endpoint, decoded: the role of `/quota/ROLE`.
pub(crate) fn tail(path: &str) -> String {
    Path::of(path, OWN).tail(KNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_endpoint_of_its_longest_known_beginning() {
        for (path, expected) in [
            ("/api/v1/scheduler", Some(Endpoint::Scheduler)),
            ("/master/api/v1/scheduler/", Some(Endpoint::Scheduler)),
            ("/api/v1/scheduler/anything", Some(Endpoint::Scheduler)),
            ("/%6Daster/api%2Fv1/scheduler", Some(Endpoint::Scheduler)),
            ("/master/version.json", Some(Endpoint::Version)),
            ("/master/flags/", Some(Endpoint::Flags)),
            ("/versions", None),
            ("/api/v1", Some(Endpoint::Operator)),
            ("/api/v1/operator", Some(Endpoint::Operator)),
            ("/master/maintenance/schedule", Some(Endpoint::V0(V0::MaintenanceSchedule))),
            ("/quota/a/b", Some(Endpoint::V0(V0::Quota))),
            ("/maintenance", None),
            ("/", File::at("").map(Endpoint::Page)),
            ("/master", File::at("").map(Endpoint::Page)),
            ("/master/page/page.js", File::at("page/page.js").map(Endpoint::Page)),
            ("/page", None),
            ("/apportion/what-if/", Some(Endpoint::Apportion(Resource::WhatIf))),
            ("/apportion", None),
            ("/api", None),
            ("/api/v2", None),
            ("/%zz", None),
        ] {
            assert_eq!(Endpoint::of(path), expected, "{path}");
        }
    }

    #[test]
    fn what_follows_is_kept() {
        assert_eq!(tail("/master/quota/eng/web%2Fa.json"), "eng/web/a.json");
        assert_eq!(tail("/quota"), "");
    }
}
