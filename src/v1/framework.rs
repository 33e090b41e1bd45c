//! `FrameworkInfo` and the subscription of a framework in v1 JSON.

use super::V1Error;
use super::labels;
use super::wire::{Wrapped, read_roles, wire, write_roles};
use crate::framework::{Capability, Framework, OfferConstraints};
use crate::id::FrameworkId;
use crate::json::Json;
use crate::json::Number;
use crate::resources::{Quantities, Scalar};
use crate::role::Role;
use crate::text::Text;
use indexmap::IndexMap;
use std::time::Duration;

wire!(WireSubscribe { framework_info: FrameworkInfo ; offer_constraints: Json ; suppressed_roles: Text });
wire!(FrameworkInfo {
    user: Text, name: Text ;
    id: Wrapped<FrameworkId>, role: Text, offer_filters: IndexMap<Text, OfferFilters>, failover_timeout: f64,
    checkpoint: bool, principal: Text ;
    roles: Text, capabilities: WireCapability ; .. details
});
wire!(WireCapability { ; r#type: Text ; });
wire!(OfferFilters { ; min_allocatable_resources: Minimums ; });
wire!(Minimums { ; ; quantities: Amounts });
wire!(Amounts { quantities: IndexMap<Text, Wrapped<Number>> ; ; });

/// The longest time in seconds that Mesos can count. It stands for a framework that is never removed.
const FOR_EVER: f64 = 9_223_372_036.0;

impl From<&Framework> for WireSubscribe {
    fn from(framework: &Framework) -> Self {
        Self {
            framework_info: framework.into(),
            offer_constraints: framework.offer_constraints.written(),
            suppressed_roles: write_roles(&framework.suppressed),
        }
    }
}

impl WireSubscribe {
    pub(super) fn read(self) -> Result<Framework, V1Error> {
        let mut framework = self.framework_info.read()?;
        framework.suppressed = read_roles(self.suppressed_roles)?;
        if let Some(constraints) = self.offer_constraints {
            framework.offer_constraints = OfferConstraints::from_v1(constraints)?;
        }
        Ok(framework)
    }
}

impl From<&Framework> for FrameworkInfo {
    /// Adds the capability `MULTI_ROLE` to a framework without exactly one role, and the user and name that v1 requires.
    fn from(framework: &Framework) -> Self {
        let several = framework.is_multi_role();
        let implied = (several && !framework.has_capability(Capability::MultiRole)).then_some(Capability::MultiRole);
        let capabilities = framework.capabilities.iter().copied().chain(implied);
        let role = framework.roles.first().filter(|role| !several && !role.is_default());
        let minimums = |(role, minimums): (&Role, &Vec<Quantities>)| {
            let quantities = minimums.iter().map(Amounts::from).collect();
            (role.as_str().into(), OfferFilters { min_allocatable_resources: Some(Minimums { quantities }) })
        };
        Self {
            user: framework.user.clone().unwrap_or_default(),
            name: framework.name.clone().unwrap_or_else(|| framework.id.as_str().into()),
            id: (!framework.id.as_str().is_empty()).then(|| framework.id.clone().into()),
            role: role.map(|role| role.as_str().into()),
            offer_filters: (!framework.offer_filters.is_empty())
                .then(|| framework.offer_filters.iter().map(minimums).collect()),
            roles: if several { write_roles(&framework.roles) } else { Vec::new() },
            failover_timeout: match framework.failover_timeout {
                Some(Duration::ZERO) => None,
                Some(timeout) => Some(timeout.as_secs_f64().min(FOR_EVER)),
                None => Some(FOR_EVER),
            },
            checkpoint: framework.checkpoint.then_some(true),
            principal: framework.principal.clone(),
            capabilities: capabilities
                .map(|capability| WireCapability { r#type: Some(capability.as_str().into()) })
                .collect(),
            details: labels::write(framework),
        }
    }
}

impl FrameworkInfo {
    /// Converts to a framework. Unknown capabilities are dropped, as Mesos drops unknown enum names.
    pub(super) fn read(self) -> Result<Framework, V1Error> {
        let known = |wire: WireCapability| wire.r#type.as_deref()?.parse().ok();
        let capabilities: Vec<Capability> = self.capabilities.into_iter().filter_map(known).collect();
        let roles = match (capabilities.contains(&Capability::MultiRole), self.role, self.roles) {
            (true, None, roles) => read_roles(roles)?,
            (true, Some(_), _) => return Err(V1Error::Framework("role", "absent with the capability MULTI_ROLE")),
            (false, role, roles) if roles.is_empty() => vec![role.map(Role::new).transpose()?.unwrap_or_default()],
            (false, ..) => return Err(V1Error::Framework("roles", "absent without the capability MULTI_ROLE")),
        };
        let id = self.id.map_or_else(|| FrameworkId::from(""), |id| id.value);
        let failover_timeout = match self.failover_timeout.unwrap_or(0.0) {
            seconds if seconds >= FOR_EVER => None,
            seconds => Some(Duration::try_from_secs_f64(seconds).unwrap_or_default()), // Mesos takes a negative one as 0
        };
        let mut framework = Framework::new(id);
        framework.name = (self.name != framework.id.as_str()).then_some(self.name);
        framework.roles = roles;
        framework.capabilities = capabilities;
        for (role, filters) in self.offer_filters.unwrap_or_default() {
            let minimums = filters.min_allocatable_resources.map(|minimums| minimums.quantities).unwrap_or_default();
            let minimums = minimums.into_iter().map(Quantities::try_from).collect::<Result<_, _>>()?;
            framework.offer_filters.insert(Role::new(role)?, minimums);
        }
        framework.failover_timeout = failover_timeout;
        framework.checkpoint = self.checkpoint.unwrap_or(false);
        framework.principal = self.principal;
        framework.user = (!self.user.is_empty()).then_some(self.user);
        framework.details = self.details;
        labels::read(&mut framework)?;
        Ok(framework)
    }
}

impl From<&Quantities> for Amounts {
    fn from(quantities: &Quantities) -> Self {
        let amount = |(name, amount): (&str, Scalar)| (name.into(), Number::from(amount).into());
        Self { quantities: quantities.iter().map(amount).collect() }
    }
}

impl TryFrom<Amounts> for Quantities {
    type Error = V1Error;

    fn try_from(amounts: Amounts) -> Result<Self, V1Error> {
        let amount = |(name, amount): (Text, Wrapped<Number>)| Ok((name, Scalar::try_from(amount.value)?));
        amounts.quantities.into_iter().map(amount).collect()
    }
}
