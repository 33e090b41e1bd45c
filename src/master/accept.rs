//! Accepts: the operations of an answer to offers, judged on what is offered, and then applied.

use super::executors::LiveExecutor;
use super::offer_watch::OfferEnd;
use super::offers::OfferNumber;
use super::operations::check_task;
use super::tasks::{LiveTask, MASTER, lost_or};
use super::{CommandError, Effect, ExecutorRef, FrameworkEntry, Master};
use crate::allocator::{Allocator, Holding};
use crate::framework::Capability;
use crate::id::{ExecutorId, FrameworkId, TaskId};
use crate::offer::{Accept, Conversion, Operation, OperationError, OperationState, OperationStatus};
use crate::resources::{Resource, Resources};
use crate::task::{ExecutorInfo, Task, TaskState, TaskStatus};
use indexmap::{IndexMap, IndexSet};

const REASON_TASK: &str = "REASON_TASK_INVALID";
const REASON_GROUP: &str = "REASON_TASK_GROUP_INVALID";

/// The validated result of an accept, before any of it is applied.
#[derive(Debug)]
struct Plan {
    conversions: Vec<Conversion>,
    /// In the order of the operations.
    outcomes: Vec<Outcome>,
    /// The offered resources that no launch or conversion has used: the accept refuses them.
    unused: Resources,
    /// The resources that the remaining operations may use.
    left: Resources,
    /// All that is held on the agent after the accept, once a conversion may have made it more than a sum can hold.
    held: Option<Resources>,
    launched: IndexSet<TaskId>,
    /// The executors that the launched tasks start.
    started: IndexMap<ExecutorId, ExecutorInfo>,
    /// The resources of the launched tasks and of the started executors.
    holdings: Vec<Resources>,
}

#[derive(Debug)]
enum Outcome {
    Launched(Box<Task>, Option<ExecutorId>),
    /// The tasks of a group, launched together.
    LaunchedGroup(Vec<(Task, Option<ExecutorId>)>),
    /// A task is wrong, and its framework is told.
    Invalid(TaskStatus),
    /// An operation is done.
    Done(Operation),
    /// An operation without feedback has failed.
    Failed(&'static str, OperationError),
    /// The status of an operation for which the framework asked for feedback.
    Feedback(OperationStatus),
}

/// The part of a plan that launches change, to be restored when a group fails.
#[derive(Debug)]
struct Checkpoint {
    unused: Resources,
    left: Resources,
    held: Option<Resources>,
    /// The numbers of launched tasks, of started executors and of holdings.
    lengths: [usize; 3],
}

impl Plan {
    fn new(offered: &Resources) -> Self {
        Self {
            conversions: Vec::new(),
            outcomes: Vec::new(),
            unused: offered.clone(),
            left: offered.clone(),
            held: None,
            launched: IndexSet::new(),
            started: IndexMap::new(),
            holdings: Vec::new(),
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        let (unused, left, held) = (self.unused.clone(), self.left.clone(), self.held.clone());
        let lengths = [self.launched.len(), self.started.len(), self.holdings.len()];
        Checkpoint { unused, left, held, lengths }
    }

    /// Takes the tasks back that were launched since then.
    fn roll_back(&mut self, to: Checkpoint) {
        (self.unused, self.left, self.held) = (to.unused, to.left, to.held);
        let [launched, started, holdings] = to.lengths;
        self.launched.truncate(launched);
        self.started.truncate(started);
        self.holdings.truncate(holdings);
    }

    /// Uses the resources of a task or an executor. Shared resources stay available to further tasks, but they count as
    /// used.
    fn take(&mut self, resources: &Resources) {
        self.left.remove(&resources.filter(|resource| !resource.is_shared()));
        self.unused.remove(resources);
        if !resources.is_empty() {
            self.holdings.push(resources.clone());
        }
    }

    fn convert(&mut self, conversion: Conversion) -> Result<(), OperationError> {
        let mut left = self.left.checked_sub(&conversion.consumed).map_err(Box::new)?;
        // A destroyed shared volume disappears with all the copies of it that were offered.
        let destroyed = |resource: &Resource| {
            conversion.consumed.iter().any(|consumed| consumed.is_shared() && consumed.same_shared(resource))
        };
        left = left.filter(|resource| !destroyed(resource));
        if conversion.speculative {
            left = left.checked_add(&conversion.converted).map_err(Box::new)?;
        }
        self.left = left;
        self.unused = self.unused.filter(|resource| !destroyed(resource));
        self.unused.remove(&conversion.consumed);
        self.conversions.push(conversion);
        Ok(())
    }
}

impl<A: Allocator> Master<A> {
    pub(super) fn accept(&mut self, framework: &FrameworkId, accept: Accept) -> Result<(), CommandError> {
        let owned = self.owned_offers(framework, &accept.offers);
        let (numbers, offered) = match owned.and_then(|numbers| Ok((self.combine(&numbers)?, numbers))) {
            Ok((offered, numbers)) => (numbers, offered),
            Err(error) if accept.each => {
                self.drop_accept(framework, accept, &error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let filters = accept.filters;
        let plan = self.judge(framework, &offered, accept)?;
        let unused = Holding { resources: plan.unused.clone(), ..offered.clone() };
        self.apply_plan(&offered, &numbers, plan)?;
        self.refuse(unused, filters)
    }

    /// Validates the operations of an accept in order, each on the resources that the previous ones leave. Changes nothing.
    /// Unless the parts are judged one by one, an invalid task rejects the whole accept; any other operation fails by itself
    /// in either case.
    fn judge(&self, framework: &FrameworkId, offered: &Holding, accept: Accept) -> Result<Plan, CommandError> {
        let Accept { operations, feedback, each, .. } = accept;
        let mut plan = Plan::new(&offered.resources);
        for (index, operation) in operations.into_iter().enumerate() {
            let tasks = match operation {
                Operation::Launch(tasks) => tasks,
                Operation::LaunchGroup(tasks) => {
                    self.judge_group(&mut plan, offered, tasks, each)?;
                    continue;
                }
                Operation::Reserve(_)
                | Operation::Unreserve(_)
                | Operation::Create(_)
                | Operation::Destroy(_)
                | Operation::GrowVolume { .. }
                | Operation::ShrinkVolume { .. }
                | Operation::Invalid { .. } => {
                    let result = self.judge_conversion(&mut plan, framework, offered, &operation);
                    let status = feedback.get(&index).map(|id| {
                        let state = if result.is_ok() { OperationState::Finished } else { OperationState::Error };
                        let message = result.as_ref().err().map(|error| error.to_string().into());
                        let agent = Some(offered.agent.clone());
                        OperationStatus { message, agent, ..OperationStatus::new(id.clone(), state) }
                    });
                    let name = operation.name();
                    match result {
                        Ok(()) => plan.outcomes.push(Outcome::Done(operation)),
                        Err(error) if status.is_none() => plan.outcomes.push(Outcome::Failed(name, error)),
                        Err(_) => {}
                    }
                    plan.outcomes.extend(status.map(Outcome::Feedback));
                    continue;
                }
            };
            for task in tasks {
                match self.judge_task(&mut plan, offered, &task) {
                    Ok(executor) => plan.outcomes.push(Outcome::Launched(Box::new(task), executor)),
                    Err(error) if each => {
                        plan.outcomes.push(Outcome::Invalid(invalid(task, offered, REASON_TASK, &error)));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(plan)
    }

    /// Judges the tasks of a group: all are launched, or none.
    fn judge_group(
        &self,
        plan: &mut Plan,
        offered: &Holding,
        tasks: Vec<Task>,
        each: bool,
    ) -> Result<(), CommandError> {
        let before = plan.checkpoint();
        let judged: Result<Vec<_>, CommandError> =
            tasks.iter().map(|task| self.judge_task(plan, offered, task)).collect();
        match judged {
            Ok(executors) => {
                plan.outcomes.push(Outcome::LaunchedGroup(tasks.into_iter().zip(executors).collect()));
            }
            Err(error) if each => {
                plan.roll_back(before);
                let statuses = tasks.into_iter().map(|task| invalid(task, offered, REASON_GROUP, &error));
                plan.outcomes.extend(statuses.map(Outcome::Invalid));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Judges a task, and takes what it and its executor use. Returns the executor that it names.
    fn judge_task(&self, plan: &mut Plan, offered: &Holding, task: &Task) -> Result<Option<ExecutorId>, CommandError> {
        let framework = &offered.framework;
        if self.tasks.contains(framework, &task.id) || plan.launched.contains(&task.id) {
            return Err(CommandError::TaskExists { framework: framework.clone(), task: task.id.clone() });
        }
        if let Some(named) = task.agent.as_ref().filter(|named| **named != offered.agent) {
            let (task, named, agent) = (task.id.clone(), named.clone(), offered.agent.clone());
            return Err(CommandError::MisplacedTask { task, named, agent });
        }
        check_task(task)?;
        let executor = executor_of(task)?;
        let started = match &executor {
            Some(info) => self.starts(plan, offered, task, info)?,
            None => false,
        };
        let own = executor.as_ref().filter(|_| started).map(|info| &info.resources);
        let needed = match own {
            Some(own) => task
                .resources
                .checked_add(own)
                .map_err(|error| CommandError::InvalidExecutor { task: task.id.clone(), error: error.to_string() })?,
            None => task.resources.clone(),
        };
        if let Some(shortfall) = plan.left.shortfall(&needed) {
            return Err(CommandError::TaskTooLarge { task: task.id.clone(), shortfall: Box::new(shortfall) });
        }
        if let Some(held) = &mut plan.held
            && let Err(source) = held.try_add(&needed)
        {
            return Err(CommandError::TaskUncountable { task: task.id.clone(), source });
        }
        plan.take(&task.resources);
        plan.launched.insert(task.id.clone());
        let id = executor.as_ref().map(|info| info.id.clone());
        if let Some(info) = executor.filter(|_| started) {
            plan.take(&info.resources);
            plan.started.insert(info.id.clone(), info);
        }
        Ok(id)
    }

    /// Returns whether a task starts its executor. It must not describe one that runs otherwise than that runs.
    fn starts(&self, plan: &Plan, offered: &Holding, task: &Task, info: &ExecutorInfo) -> Result<bool, CommandError> {
        let running = self.executors.get(&offered.framework, &offered.agent, &info.id);
        let described = match (running, plan.started.get(&info.id)) {
            (Some(running), _) => running.info.as_ref(), // one that came with its agent is known by its id alone
            (None, Some(started)) => Some(started),
            (None, None) => return Ok(true),
        };
        match described.filter(|described| *described != info) {
            Some(_) => Err(CommandError::ExecutorMismatch { task: task.id.clone(), executor: info.id.clone() }),
            None => Ok(false),
        }
    }

    fn judge_conversion(
        &self,
        plan: &mut Plan,
        framework: &FrameworkId,
        offered: &Holding,
        operation: &Operation,
    ) -> Result<(), OperationError> {
        let conversion = operation.conversion(Some(&offered.role))?;
        self.check_sharing(framework, operation)?;
        self.check_agent(&offered.agent, operation, &conversion, &plan.conversions, &plan.holdings)?;
        if plan.held.is_none() {
            plan.held = Some(self.held_beside(offered, &plan.holdings)?);
        }
        plan.convert(conversion)
    }

    /// Returns what is held on the agent of an accepted offer once its tasks run: other offers, older tasks, and these.
    fn held_beside(&self, offered: &Holding, tasks: &[Resources]) -> Result<Resources, OperationError> {
        let Some(account) = self.allocator.agent(&offered.agent) else { return Ok(Resources::new()) };
        let mut held = account.offered.saturating_sub(&offered.resources);
        let parts = std::iter::once(&*account.allocated).chain(tasks);
        parts.into_iter().try_for_each(|part| held.try_add(part)).map_err(Box::new)?;
        Ok(held)
    }

    /// Checks that only a framework that may be offered shared volumes creates one.
    fn check_sharing(&self, framework: &FrameworkId, operation: &Operation) -> Result<(), OperationError> {
        let Operation::Create(volumes) = operation else { return Ok(()) };
        let is_capable = |entry: &FrameworkEntry| entry.framework.has_capability(Capability::SharedResources);
        match volumes.iter().find(|volume| volume.is_shared()) {
            Some(shared) if !self.frameworks.get(framework).is_some_and(is_capable) => {
                Err(OperationError::SharingUnsupported(Box::new(shared.clone())))
            }
            _ => Ok(()),
        }
    }

    fn apply_plan(&mut self, offered: &Holding, numbers: &[OfferNumber], plan: Plan) -> Result<(), CommandError> {
        self.end_offers(offered, numbers, &plan.conversions, &plan.holdings)?;
        self.rescind_destroyed(&offered.agent, &plan.conversions);
        for (id, info) in plan.started {
            let of = ExecutorRef::new(offered.framework.clone(), offered.agent.clone(), id);
            let holding = Holding { resources: info.resources.clone(), ..offered.clone() };
            self.executors.add(of, LiveExecutor { holding, info: Some(info) });
        }
        let framework = &offered.framework;
        for outcome in plan.outcomes {
            match outcome {
                Outcome::Launched(task, executor) => self.launch(offered, *task, executor, None),
                Outcome::LaunchedGroup(tasks) => {
                    self.groups += u64::from(!tasks.is_empty());
                    let group = Some(self.groups);
                    tasks.into_iter().for_each(|(task, executor)| self.launch(offered, task, executor, group));
                }
                Outcome::Invalid(status) => {
                    self.counters.ended_tasks.count(status.state);
                    self.emit(Effect::Status { framework: framework.clone(), status });
                }
                Outcome::Done(operation) => {
                    let (agent, framework) = (offered.agent.clone(), Some(framework.clone()));
                    self.emit(Effect::Operation { agent, framework, operation });
                }
                Outcome::Failed(operation, error) => {
                    let framework = Some(framework.clone());
                    self.emit(Effect::OperationFailed { framework, operation, error });
                }
                Outcome::Feedback(status) => {
                    self.emit(Effect::OperationStatus { framework: framework.clone(), status });
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, offered: &Holding, task: Task, executor: Option<ExecutorId>, group: Option<u64>) {
        let (agent, role) = (Some(offered.agent.clone()), Some(offered.role.clone()));
        let task = Task { agent, role, ..task };
        let holding = Holding { resources: task.resources.clone(), ..offered.clone() };
        self.tasks.add(LiveTask::new(&task, holding, TaskState::Staging, executor));
        self.emit(Effect::Launch {
            agent: offered.agent.clone(),
            framework: offered.framework.clone(),
            role: offered.role.clone(),
            task,
            group,
        });
    }

    /// Drops all operations of an accept whose offers are not valid. Those of its offers that are live end without a refusal:
    /// the scheduler has used them up.
    fn drop_accept(&mut self, framework: &FrameworkId, accept: Accept, error: &CommandError) {
        for number in self.live_offers(framework, &accept.offers) {
            self.end_offer(number, OfferEnd::Declined);
        }
        let dropped = self.framework(framework).map(|entry| lost_or(&entry.framework, TaskState::Dropped));
        let state = dropped.unwrap_or(TaskState::Lost);
        let message = error.to_string();
        for (index, operation) in accept.operations.into_iter().enumerate() {
            let name = operation.name();
            if let Operation::Launch(tasks) | Operation::LaunchGroup(tasks) = operation {
                for task in tasks {
                    self.counters.ended_tasks.count(state);
                    let status = TaskStatus::new(task.id, state).reason("REASON_INVALID_OFFERS");
                    let agent = task.agent.or_else(|| accept.agent.clone());
                    let status = TaskStatus { agent, source: MASTER, ..status.message(message.as_str()) };
                    self.emit(Effect::Status { framework: framework.clone(), status });
                }
            } else if let Some(id) = accept.feedback.get(&index) {
                let status = OperationStatus::new(id.clone(), OperationState::Error);
                let status = OperationStatus { message: Some(message.as_str().into()), ..status };
                self.emit(Effect::OperationStatus { framework: framework.clone(), status });
            } else {
                let (framework, error) =
                    (Some(framework.clone()), OperationError::InvalidOffers(message.as_str().into()));
                self.emit(Effect::OperationFailed { framework, operation: name, error });
            }
        }
    }
}

/// Returns the executor that a task names, without the role that its resources are allocated to.
fn executor_of(task: &Task) -> Result<Option<ExecutorInfo>, CommandError> {
    let invalid = |error: String| CommandError::InvalidExecutor { task: task.id.clone(), error };
    let Some(info) = ExecutorInfo::of(task).map_err(|error| invalid(error.to_string()))? else { return Ok(None) };
    info.id.check().map_err(|error| invalid(error.to_string()))?;
    if let Some(gpus) = crate::offer::fractional_gpus(&info.resources) {
        return Err(CommandError::FractionalGpus { task: task.id.clone(), gpus });
    }
    Ok(Some(ExecutorInfo { role: None, ..info }))
}

fn invalid(task: Task, offered: &Holding, reason: &'static str, error: &CommandError) -> TaskStatus {
    let status = TaskStatus::new(task.id, TaskState::Error).reason(reason).message(error.to_string());
    let agent = task.agent.or_else(|| Some(offered.agent.clone()));
    TaskStatus { agent, source: MASTER, ..status }
}
