//! The property that a recorded command, read again, is an equal command.

use super::record;
use crate::agent::{Agent, Domain, Unavailability};
use crate::allocator::{Quota, Weight};
use crate::attributes::{AttributeValue, Attributes};
use crate::details::Details;
use crate::forms::raw::RawLine;
use crate::framework::{Capability, Framework, OfferConstraints};
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::invalid::InvalidForm;
use crate::json::{self, Json};
use crate::master::{AgentUpdate, Command, Drain, ExecutorRef, Recovery, Registration, RunningExecutor, RunningTask};
use crate::offer::{Accept, Filters, Operation};
use crate::resources::{Limits, Quantities, Resource, Resources, Scalar};
use crate::role::Role;
use crate::scheduler::{Call, Kill, OperationRef, Request, TaskRef};
use crate::task::{StatusSource, Task, TaskState, TaskStatus};
use crate::time::Time;
use crate::uuid::Uuid;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Draws values from bytes, so that fewer and smaller bytes are simpler values.
struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl Dice<'_> {
    fn roll(&mut self, sides: u8) -> u8 {
        self.bytes.next().copied().unwrap_or(0) % sides
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(2) == 1).then(|| draw(self))
    }

    fn some<T>(&mut self, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.roll(3)).map(|_| draw(self)).collect()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::from(self.roll(u8::try_from(of.len()).unwrap()))].clone()
    }

    fn number(&mut self) -> u64 {
        let (digits, shift) = ((0..8).fold(0, |sum: u64, _| sum << 8 | u64::from(self.roll(255))), self.roll(64));
        digits >> shift
    }

    /// A whole number of microseconds: the clock has no smaller unit.
    fn span(&mut self) -> Duration {
        Duration::from_micros(self.number())
    }

    fn time(&mut self) -> Time {
        Time::from_micros(self.number())
    }

    fn amount(&mut self) -> Scalar {
        Scalar::milli(1 + self.number() % 9_000_000_000_000_000)
    }

    fn name(&mut self) -> &'static str {
        self.pick(&["a", "b", "web-1", "\u{fc} \"x\"", ""])
    }

    fn framework_id(&mut self) -> FrameworkId {
        self.name().into()
    }

    fn agent_id(&mut self) -> AgentId {
        self.name().into()
    }

    fn task_id(&mut self) -> TaskId {
        self.name().into()
    }

    fn executor_id(&mut self) -> ExecutorId {
        self.name().into()
    }

    fn offer_ids(&mut self) -> Vec<OfferId> {
        self.some(|dice| OfferId::from(dice.name()))
    }

    fn role(&mut self) -> Role {
        Role::new(self.pick(&["*", "a", "a/b", "web"])).unwrap()
    }

    fn roles(&mut self) -> Vec<Role> {
        self.some(Self::role)
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_seed(self.number(), 1)
    }

    fn json(&mut self) -> Json {
        let amount = self.number();
        let texts = ["{}", r#"{"value":"y","list":[1,null,true]}"#, "[1.50,-0,2E+3,0.12345678901234567890123]"];
        let text = self.pick(&texts).parse().unwrap();
        self.pick(&["x".into(), amount.into(), text])
    }

    fn details(&mut self, names: &[&str]) -> Details {
        self.some(|dice| (dice.pick(names), dice.json())).into_iter().collect()
    }

    fn volume() -> serde_json::Value {
        json!({"name": "disk", "type": "SCALAR", "scalar": {"value": 10},
            "reservations": [{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b", "principal": "p"}],
            "disk": {"persistence": {"id": "v"}, "volume": {"container_path": "d", "mode": "RW"}}})
    }

    fn resources(&mut self) -> Resources {
        let amount = self.amount();
        match self.roll(5) {
            0 => Resources::new(),
            1 => Resources::builder().scalar("cpus", amount).build().unwrap(),
            2 => "cpus:1;mem(a/b):0.001;ports:[1-3,7-9];zones:{a,b}".parse().unwrap(),
            3 => Resources::builder().set("z", ["", "a;b"]).build().unwrap(),
            _ => serde_json::from_value(json!([Self::volume()])).unwrap(),
        }
    }

    fn resource() -> Box<Resource> {
        let resources: Resources = serde_json::from_value(json!([Self::volume()])).unwrap();
        Box::new(resources.iter().next().unwrap().clone())
    }

    fn quantities(&mut self) -> Quantities {
        let by_name: BTreeMap<_, _> =
            self.some(|dice| (dice.pick(&["cpus", "mem"]), dice.amount())).into_iter().collect();
        by_name.into_iter().collect()
    }

    fn attributes(&mut self) -> Attributes {
        let mut attributes = Attributes::new();
        for _ in 0..self.roll(3) {
            let amount = self.amount();
            let value = self.pick(&[
                AttributeValue::Text("r1".into()),
                AttributeValue::Text("".into()),
                AttributeValue::Scalar(amount.as_f64().min(1e12)),
                AttributeValue::Set(["a", ""].into_iter().collect()),
            ]);
            attributes.push(self.pick(&["rack", "a b", "x"]), value);
        }
        attributes
    }

    fn domain(&mut self) -> Domain {
        Domain { region: self.name().into(), zone: self.name().into() }
    }

    fn window(&mut self) -> Unavailability {
        Unavailability { start: self.time(), duration: self.maybe(Self::span) }
    }

    fn agent(&mut self) -> Agent {
        let mut agent = Agent::new(self.agent_id(), self.resources());
        if let Some(hostname) = self.maybe(Self::name) {
            agent = agent.hostname(hostname);
        }
        agent.attributes = self.attributes();
        agent.domain = self.maybe(Self::domain);
        agent.unavailability = self.maybe(Self::window);
        agent
    }

    fn state(&mut self) -> TaskState {
        self.pick(&TaskState::ALL)
    }

    fn task(&mut self) -> Task {
        let mut task = Task::new(self.task_id(), self.resources());
        task.agent = self.maybe(Self::agent_id);
        task.role = self.maybe(Self::role);
        task.details = self.details(&["name", "command", "executor", "kill_policy", "labels", "data"]);
        task
    }

    fn running(&mut self) -> RunningTask {
        let task = Task::new(self.task_id(), self.resources());
        let task = Task { details: self.details(&["name", "labels", "executor"]), ..task };
        let mut running = RunningTask::new(self.framework_id(), self.role(), task).state(self.state());
        running.executor = self.maybe(Self::executor_id);
        running
    }

    fn executor(&mut self) -> RunningExecutor {
        RunningExecutor::new(self.executor_id(), self.framework_id(), self.role(), self.resources())
    }

    fn framework(&mut self) -> Framework {
        let mut framework = Framework::new(self.framework_id());
        framework.name = self.maybe(|dice| dice.name().into());
        framework.roles = self.roles();
        framework.suppressed = self.roles();
        let of = usize::from(self.roll(8));
        framework.capabilities = Capability::ALL[of..].to_vec();
        for role in self.roles() {
            let minimums = self.some(Self::quantities);
            framework.offer_filters.insert(role, minimums);
        }
        let groups =
            json!([{"attribute_constraints": [{"selector": {"attribute_name": "rack"}, "predicate": {"exists": {}}}]}]);
        let constraints = [json!({"role_constraints": {"a": {"groups": groups}}}), json!({})];
        if let Some(v1) = self.maybe(|dice| dice.pick(&constraints)) {
            framework.offer_constraints = OfferConstraints::from_v1(v1).unwrap();
        }
        framework.failover_timeout = self.maybe(Self::span);
        framework.offer_timeout = self.maybe(Self::span);
        framework.checkpoint = self.roll(2) == 1;
        framework.principal = self.maybe(|dice| dice.name().into());
        framework.user = self.maybe(|dice| dice.name().into());
        framework.details = self.details(&["hostname", "webui_url", "labels", "something_else"]);
        framework
    }

    fn filters(&mut self) -> Filters {
        let span = self.span();
        self.pick(&[
            Filters::default(),
            Filters::NONE,
            Filters::refuse_for(span),
            Filters::refuse_for(Duration::from_nanos(1)),
        ])
    }

    fn invalid() -> Box<InvalidForm> {
        let resource = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": -1.0}}]);
        Box::new(InvalidForm::new(resource, "negative"))
    }

    fn operation(&mut self) -> Operation {
        match self.roll(10) {
            0 => Operation::Launch(self.some(Self::task)),
            1 => Operation::LaunchGroup(self.some(Self::task)),
            2 => Operation::Reserve(self.resources()),
            3 => Operation::Unreserve(self.resources()),
            4 => Operation::Create(self.resources()),
            5 => Operation::Destroy(self.resources()),
            6 => Operation::GrowVolume { volume: Self::resource(), addition: Self::resource() },
            7 => Operation::ShrinkVolume { volume: Self::resource(), subtract: self.amount() },
            8 => {
                let form = *Self::invalid();
                Operation::Launch(vec![Task::with_invalid_resources(self.task_id(), form)])
            }
            _ => {
                let resources = Self::invalid().given;
                let form = Box::new(InvalidForm::new(json!({ "resources": resources }), "negative"));
                Operation::Invalid { name: "reserve", form }
            }
        }
    }

    fn accept(&mut self) -> Accept {
        let mut accept = Accept::to(self.offer_ids());
        accept.operations = self.some(Self::operation);
        let is_invalid = |operation: &Operation| {
            matches!(operation, Operation::Invalid { .. })
                || operation.tasks().iter().any(|task| task.invalid.is_some())
        };
        accept.each = self.roll(2) == 1 || accept.operations.iter().any(is_invalid); // else they would be refused
        accept.filters = self.filters();
        accept.feedback =
            self.some(|dice| (usize::from(dice.roll(3)), OperationId::from(dice.name()))).into_iter().collect();
        accept.role = self.maybe(Self::role);
        accept.agent = self.maybe(Self::agent_id);
        accept
    }

    fn status(&mut self) -> TaskStatus {
        let mut status = TaskStatus::new(self.task_id(), self.state());
        status.agent = self.maybe(Self::agent_id);
        status.executor = self.maybe(Self::executor_id);
        status.source = self.maybe(|dice| dice.pick(&StatusSource::ALL));
        status.reason = self.maybe(|dice| dice.name().into());
        status.message = self.maybe(|dice| dice.name().into());
        status.timestamp = self.maybe(|dice| dice.time().as_secs_f64());
        status.uuid = self.maybe(Self::uuid);
        status.healthy = self.maybe(|dice| dice.roll(2) == 1);
        status.data = self.maybe(|dice| dice.some(|dice| dice.roll(255)));
        status.details =
            self.details(&["container_status", "check_status", "labels", "limitation", "unreachable_time", "x"]);
        status
    }

    fn call(&mut self) -> Call {
        let (filters, each) = (self.filters(), self.roll(2) == 1);
        match self.roll(19) {
            0 => Call::Subscribe(Box::new(self.framework())),
            1 => Call::UpdateFramework(Box::new(self.framework())),
            2 | 3 => Call::Accept(self.accept()),
            4 => Call::Decline { offers: self.offer_ids(), filters, each },
            5 => Call::AcceptInverseOffers { offers: self.offer_ids(), filters, each },
            6 => Call::DeclineInverseOffers { offers: self.offer_ids(), filters, each },
            7 => Call::Suppress(self.roles()),
            8 => Call::Revive(self.roles()),
            9 => {
                let (agent, grace) = (self.maybe(Self::agent_id), self.maybe(Self::span));
                Call::Kill(Kill { agent, grace, ..self.task_id().into() })
            }
            10 => {
                let of = |dice: &mut Self| TaskRef { agent: dice.maybe(Self::agent_id), ..dice.task_id().into() };
                Call::Reconcile(self.maybe(|dice| dice.some(of)))
            }
            11 => Call::Acknowledge { agent: self.agent_id(), task: self.task_id(), uuid: self.uuid() },
            12 => {
                let (agent, operation) = (self.maybe(Self::agent_id), self.name().into());
                Call::AcknowledgeOperation { agent, operation, uuid: self.uuid() }
            }
            13 => Call::ReconcileOperations(self.some(|dice| {
                let operation = OperationId::from(dice.name());
                OperationRef { agent: dice.maybe(Self::agent_id), ..operation.into() }
            })),
            14 => {
                let data = self.some(|dice| dice.roll(255));
                Call::Message { agent: self.agent_id(), executor: self.executor_id(), data }
            }
            15 => Call::Shutdown { agent: self.agent_id(), executor: self.executor_id() },
            16 => {
                let (roles, each) = (self.roles(), self.maybe(Self::quantities));
                let most = self.maybe(Self::quantities).map(|most| most.iter().collect()).unwrap_or_default();
                let agents = self.some(Self::agent_id);
                let if_suppressed = self.roll(2) == 1;
                Call::from(Request { roles, each, most, agents, if_suppressed, ..Request::offers(self.roll(9).into()) })
            }
            17 => Call::Teardown,
            _ => Call::Invalid { kind: "REVIVE".into(), form: Self::invalid() },
        }
    }

    fn command(&mut self) -> Command {
        match self.roll(24) {
            0 | 1 => Command::AddAgent(Registration {
                tasks: self.some(Self::running),
                executors: self.some(Self::executor),
                ..self.agent().into()
            }),
            2 => {
                let mut update = AgentUpdate::new(self.agent_id());
                update.resources = self.maybe(Self::resources);
                update.attributes = self.maybe(Self::attributes);
                update.domain = self.maybe(Self::domain);
                Command::UpdateAgent(update)
            }
            3 => Command::RemoveAgent(self.agent_id()),
            4 => Command::DeactivateAgent(self.agent_id()),
            5 => Command::ActivateAgent(self.agent_id()),
            6 => Command::DisconnectAgent(self.agent_id()),
            7 => Command::AgentUnreachable(self.agent_id()),
            8 => Command::AgentGone(self.agent_id()),
            9 => Command::UnregisterAgent(self.agent_id()),
            10 => {
                let (max_grace_period, mark_gone) = (self.maybe(Self::span), self.roll(2) == 1);
                Command::DrainAgent(self.agent_id(), Drain { max_grace_period, mark_gone })
            }
            11 => {
                let mut recovery = Recovery::of(self.some(Self::agent_id));
                (recovery.factor, recovery.timeout) = (self.amount(), self.span());
                Command::Recover(recovery)
            }
            12 => Command::RecoverFramework(self.framework(), self.span()),
            13 => Command::AddFramework(self.framework()),
            14 => Command::DeactivateFramework(self.framework_id()),
            15 => Command::ActivateFramework(self.framework_id()),
            16 => Command::SetWeight(self.role(), Weight::try_from_f64(self.pick(&[0.001, 1.0, 2.5])).unwrap()),
            17 => {
                let limits: Limits = self.quantities().iter().collect();
                Command::SetQuota(self.role(), Quota::new(self.quantities(), limits))
            }
            18 => Command::SetWhitelist(self.maybe(|dice| dice.some(|dice| dice.name().into()))),
            19 => Command::SetMaintenance(self.agent_id(), self.maybe(Self::window)),
            20 => {
                let mut operations = self.some(Self::operation);
                operations.retain(|operation| {
                    !matches!(operation, Operation::Invalid { .. })
                        && operation.tasks().iter().all(|task| task.invalid.is_none())
                });
                Command::Operate(self.agent_id(), operations)
            }
            21 => Command::TaskStatus(self.framework_id(), self.status()),
            22 => {
                let (data, status) = (self.some(|dice| dice.roll(255)), i32::from(self.roll(255)));
                let of = ExecutorRef::new(self.framework_id(), self.agent_id(), self.executor_id());
                if self.roll(2) == 0 { Command::ExecutorMessage(of, data) } else { Command::ExecutorEnded(of, status) }
            }
            _ => Command::Call(self.framework_id(), self.call()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_recorded_command_read_again_is_equal(bytes in prop::collection::vec(any::<u8>(), 0..160), more in any::<u8>()) {
        let mut dice = Dice { bytes: bytes.iter() };
        let mut command = dice.command();
        if more % 2 == 0 {
            command = Command::Call(dice.framework_id(), dice.call()); // half of all commands
        }
        let at = dice.time();
        let text = record(at, &command);
        let line: RawLine = json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        let read = Command::try_from(line.command).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(&read, &command, "{}", text);
        prop_assert_eq!(record(at, &read), text);
    }

    #[test]
    fn a_value_read_again_is_equal(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let mut dice = Dice { bytes: bytes.iter() };
        match dice.roll(9) {
            0 => read_again(&dice.agent())?,
            1 => read_again(&dice.framework())?,
            2 => read_again(&dice.task())?,
            3 => read_again(&dice.status())?,
            4 => read_again(&dice.accept())?,
            5 => read_again(&dice.operation())?,
            6 => read_again(&dice.maybe(Dice::window))?,
            7 => read_again(&*Dice::resource())?,
            _ => read_again(&dice.command())?,
        }
    }
}

/// Writes a value by serde, as text of any JSON library, and reads it.
fn read_again<T>(value: &T) -> Result<(), TestCaseError>
where
    T: PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let text = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
    prop_assert_eq!(&read, value, "{}", text);
    Ok(())
}
