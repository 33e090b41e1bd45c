//! What the operations of an accept come to, in order, each seeing what the one before left.

use super::agents::is_id;
use super::executors::executor_of;
use super::operations::{Conversion, conversion, fraction_of_a_gpu, same};
use super::{Held, Reference, Refused};
use apportion::{Accept, Capability, ExecutorInfo, Operation, Resource, Resources, Task, TaskId};

#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The agent's total after it.
    pub(super) total: Resources,
    /// What later operations may take.
    firm: Resources,
    /// What later tasks may share.
    shared: Resources,
    /// What was neither launched on nor converted. A shared resource is not left over once it is used.
    pub(super) untouched: Resources,
    pub(super) done: Vec<Conversion>,
    pub(super) outcomes: Vec<Outcome>,
    groups: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// A task, the executor that starts with it, and the number of its group among those of the accept.
    Launched {
        task: Task,
        executor: Option<ExecutorInfo>,
        group: Option<u64>,
    },
    Wrong {
        task: TaskId,
        reason: &'static str,
    },
    Done {
        index: usize,
        operation: Operation,
    },
    Failed {
        index: usize,
        operation: Operation,
    },
}

impl Reference {
    /// A task that is wrong is left out if each is judged by itself; else all of it is refused.
    pub(super) fn plan(&self, offered: &Held, accept: &Accept) -> Result<Plan, Refused> {
        let mut plan = Plan {
            total: self.agent(&offered.agent).ok_or("no such agent")?.agent.resources.clone(),
            firm: offered.resources.filter(|resource| !resource.is_shared()),
            shared: offered.resources.filter(Resource::is_shared),
            untouched: offered.resources.clone(),
            done: Vec::new(),
            outcomes: Vec::new(),
            groups: 0,
        };
        for (index, operation) in accept.operations.iter().cloned().enumerate() {
            match operation {
                Operation::Launch(tasks) => {
                    for task in tasks {
                        let id = task.id.clone();
                        match self.launch_on(offered, &mut plan, task, None) {
                            Err(wrong) if !accept.each => return Err(wrong),
                            Err(_) => plan.outcomes.push(Outcome::Wrong { task: id, reason: "REASON_TASK_INVALID" }),
                            Ok(()) => {}
                        }
                    }
                }
                Operation::LaunchGroup(tasks) => {
                    let mut with = plan.clone();
                    with.groups += u64::from(!tasks.is_empty());
                    let group = Some(with.groups);
                    let mut each = tasks.iter().cloned();
                    match each.try_for_each(|task| self.launch_on(offered, &mut with, task, group)) {
                        Err(wrong) if !accept.each => return Err(wrong),
                        Err(_) => plan.outcomes.extend(
                            tasks
                                .into_iter()
                                .map(|task| Outcome::Wrong { task: task.id, reason: "REASON_TASK_GROUP_INVALID" }),
                        ),
                        Ok(()) => plan = with,
                    }
                }
                Operation::Invalid { .. } if !accept.each => return Err("not an operation"),
                operation => {
                    let done = self.convert(offered, &operation, &mut plan).is_ok();
                    plan.outcomes.push(if done {
                        Outcome::Done { index, operation }
                    } else {
                        Outcome::Failed { index, operation }
                    });
                }
            }
        }
        Ok(plan)
    }

    fn launch_on(&self, offered: &Held, plan: &mut Plan, task: Task, group: Option<u64>) -> Result<(), Refused> {
        if self.task(&offered.framework, &task.id).is_some() || plan.launched().any(|other| other.id == task.id) {
            return Err("the task is there already");
        }
        if !is_id(task.id.as_str()) {
            return Err("not an id");
        }
        if task.invalid.is_some() {
            return Err("not resources");
        }
        check_task(&task.resources)?;
        let executor = executor_of(&task)?;
        let mut new = None;
        if let Some(info) = executor {
            let running = self.executor(&offered.framework, &offered.agent, &info.id);
            let started = plan.started().find(|other| other.id == info.id);
            let before = running.map(|running| running.info.as_ref()).or_else(|| started.map(Some));
            match before {
                Some(Some(before)) if *before != info => return Err("another executor of that id runs there"),
                Some(_) => {}
                None => new = Some(info),
            }
        }
        let own = new.as_ref().map(|info| info.resources.clone()).unwrap_or_default();
        let takes = task.resources.checked_add(&own).map_err(|_| "more than can be counted")?;
        plan.take(&takes)?;
        self.check_held(offered, plan, &takes)?;
        plan.outcomes.push(Outcome::Launched { task, executor: new, group });
        Ok(())
    }

    /// All that is held on the agent after the accept is a sum that can be told.
    fn check_held(&self, offered: &Held, plan: &Plan, takes: &Resources) -> Result<(), Refused> {
        let on_it = |held: &&Held| held.agent == offered.agent;
        let mut offers = self.offers.iter().map(|offer| &offer.held).filter(on_it);
        let offers = offers.try_fold(Resources::new(), |sum, held| sum.checked_add(&held.resources));
        let others = offers.expect("no more than a total").saturating_sub(&offered.resources);
        let running = self.in_use().filter(on_it).map(|held| &held.resources);
        let started = plan.started().map(|info| &info.resources);
        let mut all = running.chain(plan.launched().map(|task| &task.resources)).chain(started).chain([takes]);
        all.try_fold(others, |sum, held| sum.checked_add(held)).map(drop).map_err(|_| "more than can be counted")
    }

    fn convert(&self, offered: &Held, operation: &Operation, plan: &mut Plan) -> Result<(), Refused> {
        let conversion = conversion(operation, Some(&offered.role))?;
        let shares = matches!(operation, Operation::Create(volumes) if volumes.iter().any(Resource::is_shared));
        let known = self.framework(&offered.framework).ok_or("no such framework")?;
        if shares && !known.framework.has_capability(Capability::SharedResources) {
            return Err("the framework cannot share");
        }
        let tasks = plan.launched().map(|task| task.resources.clone());
        let used: Vec<Resources> = tasks.chain(plan.started().map(|info| info.resources.clone())).collect();
        let total = self.converted_total(&offered.agent, &plan.total, operation, &conversion, &used)?;
        let Conversion { consumed, converted, at_once } = &conversion;
        let usable = plan.firm.checked_add(&plan.shared).expect("parts of one agent's total");
        if !usable.contains(consumed) {
            return Err("it was not offered, or is not left");
        }
        plan.total = total;
        plan.firm = plan.firm.saturating_sub(consumed);
        // A shared volume that is destroyed is gone in all its copies.
        plan.shared = plan.shared.filter(|mine| !consumed.iter().any(|gone| same(gone, mine)));
        plan.untouched =
            plan.untouched.filter(|mine| !(mine.is_shared() && consumed.iter().any(|gone| same(gone, mine))));
        plan.untouched = plan.untouched.saturating_sub(consumed);
        if *at_once {
            let sum = |mine: &Resources, which: &dyn Fn(&Resource) -> bool| {
                mine.checked_add(&converted.filter(which)).expect("parts of one agent's total")
            };
            plan.shared = sum(&plan.shared, &Resource::is_shared);
            plan.firm = sum(&plan.firm, &|resource| !resource.is_shared());
        }
        plan.done.push(conversion);
        Ok(())
    }
}

impl Plan {
    fn launched(&self) -> impl Iterator<Item = &Task> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Launched { task, .. } => Some(task),
            _ => None,
        })
    }

    fn started(&self) -> impl Iterator<Item = &ExecutorInfo> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Launched { executor, .. } => executor.as_ref(),
            _ => None,
        })
    }

    fn take(&mut self, takes: &Resources) -> Result<(), Refused> {
        // However many copies were offered: tasks may share what one of them may use.
        let (shared, firm): (Vec<_>, Vec<_>) = takes.iter().cloned().partition(Resource::is_shared);
        let fits = shared.iter().all(|theirs| self.shared.iter().any(|mine| same(mine, theirs)));
        if !fits || !self.firm.contains(&Resources::try_from_iter(firm).expect("part of a task's")) {
            return Err("the task does not fit");
        }
        self.firm = self.firm.saturating_sub(takes);
        self.untouched = self.untouched.saturating_sub(takes);
        Ok(())
    }
}

/// A task takes something, and of each name only revocable or only other resources.
fn check_task(resources: &Resources) -> Result<(), Refused> {
    let mixed = resources.iter().any(|one| {
        resources.iter().any(|other| one.name() == other.name() && one.is_revocable() != other.is_revocable())
    });
    let parted = fraction_of_a_gpu(resources);
    if mixed || parted || resources.is_empty() { Err("no resources, a mixture, or a part of a GPU") } else { Ok(()) }
}
