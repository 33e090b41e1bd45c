use super::*;
use apportion::ExecutorInfo;
use apportion::executor::{Call, Event, Session};
use std::collections::BTreeSet;

/// A runner in its session, on a clock that tests set.
struct Run {
    session: Session<Runner>,
    at: Time,
    told: Vec<TaskStatus>,
    wakes: BTreeSet<Time>,
}

impl Run {
    fn new(runner: Runner) -> Self {
        let mut run =
            Self { session: Session::new("e1", runner, 1), at: Time::ZERO, told: Vec::new(), wakes: BTreeSet::new() };
        let mut subscribed = Subscribed::new(ExecutorInfo::new("e1"));
        let killing = Json::parse(r#"[{"type":"PARTITION_AWARE"},{"type":"TASK_KILLING_STATE"}]"#).unwrap();
        subscribed.framework.insert("capabilities", killing);
        run.event(Event::Subscribed(Box::new(subscribed)));
        run
    }

    fn event(&mut self, event: Event) -> &mut Self {
        let reports = self.session.receive(event, self.at);
        self.take(reports)
    }

    fn act(&mut self, action: impl FnOnce(&mut Runner, &mut Reports)) -> &mut Self {
        let reports = self.session.act(self.at, action);
        self.take(reports)
    }

    fn take(&mut self, reports: Reports) -> &mut Self {
        self.wakes.extend(reports.wakes());
        for call in reports.into_vec() {
            let Call::Update(status) = call else { panic!("{call:?}") };
            self.told.push(*status);
        }
        self
    }

    /// Lets time pass, and fires the timers that are due.
    fn pass(&mut self, time: f64) -> &mut Self {
        let end = self.at + Duration::from_secs_f64(time);
        while let Some(due) = self.wakes.first().copied().filter(|due| *due <= end) {
            self.wakes.pop_first();
            self.at = due;
            let reports = self.session.wake(due);
            self.take(reports);
        }
        self.at = end;
        self
    }

    fn started(&mut self, task: &str) -> &mut Self {
        self.act(|runner, reports| runner.started(&task.into(), None, reports))
    }

    fn ended(&mut self, task: &str, ending: &Ending) -> &mut Self {
        self.act(|runner, reports| runner.ended(&task.into(), ending, reports))
    }

    fn kill(&mut self, task: &str, grace: Option<f64>) -> &mut Self {
        self.event(Event::Kill { task: task.into(), grace: grace.map(Duration::from_secs_f64) })
    }

    /// Returns the actions since the last time, in short.
    fn actions(&mut self) -> Vec<String> {
        let mut actions = Vec::new();
        self.act(|runner, _| {
            while let Some(action) = runner.poll_action() {
                actions.push(match action {
                    Action::Start { task, .. } => format!("start {}", task.id),
                    Action::Terminate { task, .. } => format!("terminate {task}"),
                    Action::Kill(task) => format!("kill {task}"),
                    Action::Probe { task, probe } => format!("{} of {task}", probe.kind.field()),
                });
            }
        });
        actions
    }

    /// Returns the statuses since the last time: task and state.
    fn told(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.told);
        told.iter().map(|status| format!("{} {}", status.task, &status.state.as_str()[5..])).collect()
    }

    fn acknowledge_all(&mut self) -> &mut Self {
        let Call::Subscribe { updates, .. } = self.session.subscribe() else { panic!("a registration") };
        for status in updates {
            self.event(Event::Acknowledged { task: status.task, uuid: status.uuid.unwrap() });
        }
        self
    }

    fn is_done(&self) -> bool {
        self.session.executor().is_done()
    }
}

fn task(id: &str, more: &str) -> Task {
    let task = Task::new(id, "cpus:1".parse().unwrap()).detail("command", Json::parse(r#"{"value":"x"}"#).unwrap());
    let more = Json::parse(more).unwrap();
    more.fields().fold(task, |task, (name, value)| task.detail(name.into_owned(), Json::from(value)))
}

fn launched(runner: Runner, more: &str) -> Run {
    let mut run = Run::new(runner);
    run.event(Event::Launch(task("t", more))).started("t");
    assert_eq!(
        (run.told(), run.actions()),
        (vec!["t STARTING".into(), "t RUNNING".into()], vec!["start t".to_owned()])
    );
    run
}

const PLAIN: &str = "{}";

#[test]
fn a_command_starts_runs_and_ends_and_the_executor_with_it() {
    for (ending, state, message) in [
        (Ending::Exited(0), TaskState::Finished, "Command exited with status 0"),
        (Ending::Exited(5), TaskState::Failed, "Command exited with status 5"),
        (Ending::Signaled(9), TaskState::Failed, "Command terminated with signal Killed"),
        (Ending::NotStarted("no such program".into()), TaskState::Failed, "no such program"),
    ] {
        let mut run = launched(Runner::command(7), PLAIN);
        run.ended("t", &ending);
        let last = &run.told[0];
        assert_eq!((last.state, last.message.as_deref()), (state, Some(message)));
        assert!(!run.is_done());
        assert!(run.acknowledge_all().is_done());
    }
}

#[test]
fn a_task_that_is_killed_gets_its_grace_and_a_later_kill_may_only_shorten_it() {
    let policy = r#"{"kill_policy":{"grace_period":{"nanoseconds":8000000000}}}"#;
    let mut run = launched(Runner::command(7), policy);
    run.kill("t", None);
    assert_eq!((run.told(), run.actions()), (vec!["t KILLING".to_owned()], vec!["terminate t".to_owned()]));
    run.pass(1.0).kill("t", Some(60.0)).pass(1.0).kill("t", Some(3.0));
    assert!(run.told().is_empty() && run.actions().is_empty());
    assert!(run.pass(2.9).actions().is_empty());
    assert_eq!(run.pass(0.1).actions(), ["kill t"]);
    assert!(run.pass(60.0).kill("t", Some(0.0)).pass(1.0).actions().is_empty(), "once");
    run.ended("t", &Ending::Signaled(9));
    assert_eq!(run.told[0].message.as_deref(), Some("Command terminated with signal Killed"));
    assert_eq!(run.told(), ["t KILLED"]);
    run.kill("t", None).kill("nobody", None);
    assert!(run.told().is_empty() && run.actions().is_empty());

    let mut run = launched(Runner::command(7), PLAIN);
    run.kill("t", None).actions();
    assert!(run.pass(2.9).actions().is_empty(), "3 s unless somebody says otherwise");
    assert_eq!(run.pass(0.1).actions(), ["kill t"]);
    run.ended("t", &Ending::Exited(0));
    assert_eq!(run.told()[1..], ["t KILLED"], "it was asked to end");
}

#[test]
fn killing_is_told_only_to_those_who_know_it() {
    let mut run = launched(Runner::command(7), PLAIN);
    run.acknowledge_all().event(Event::Subscribed(Box::new(Subscribed::new(ExecutorInfo::new("e1")))));
    run.kill("t", None).ended("t", &Ending::Signaled(15));
    assert_eq!(run.told(), ["t KILLED"]);
}

#[test]
fn a_kill_during_the_start_waits_for_it() {
    let mut run = Run::new(Runner::command(7));
    run.event(Event::Launch(task("t", PLAIN))).kill("t", Some(1.0)).pass(2.0);
    assert_eq!(run.actions(), ["start t", "terminate t"]);
    run.started("t");
    assert_eq!(run.actions(), ["terminate t"]);
    assert_eq!(run.pass(1.0).actions(), ["kill t"], "its time was over");
    run.ended("t", &Ending::Signaled(9));
    assert_eq!(run.told(), ["t STARTING", "t KILLING", "t KILLED"]);
}

#[test]
fn a_task_that_takes_too_long_fails() {
    let mut run = launched(Runner::command(7), r#"{"max_completion_time":{"nanoseconds":2000000000}}"#);
    assert!(run.pass(1.9).actions().is_empty());
    assert_eq!(run.pass(0.1).actions(), ["terminate t", "kill t"], "it has no grace");
    run.ended("t", &Ending::Signaled(9));
    assert_eq!(run.told[1].reason.as_deref(), Some("REASON_MAX_COMPLETION_TIME_REACHED"));
    assert_eq!(run.told(), ["t KILLING", "t FAILED"]);
}

#[test]
fn one_that_fails_takes_its_group_along() {
    let mut run = Run::new(Runner::groups(7));
    let groups = [["a1", "a2", "a3"], ["b1", "b2", "b3"]];
    for group in groups {
        run.event(Event::LaunchGroup(group.iter().map(|id| task(id, PLAIN)).collect()));
        group.iter().for_each(|id| _ = run.started(id));
    }
    run.told();
    run.actions();
    run.ended("a2", &Ending::Exited(0));
    assert_eq!((run.told(), run.actions()), (vec!["a2 FINISHED".to_owned()], vec![]));
    run.ended("a1", &Ending::Exited(1));
    assert_eq!(
        (run.told(), run.actions()),
        (vec!["a1 FAILED".into(), "a3 KILLING".into()], vec!["terminate a3".to_owned()])
    );
    run.ended("a3", &Ending::Signaled(15));
    assert_eq!(run.told(), ["a3 KILLED"]);
    assert!(!run.acknowledge_all().is_done(), "the other group runs");
    run.kill("b2", None).ended("b2", &Ending::Signaled(15));
    assert_eq!(run.told(), ["b2 KILLING", "b2 KILLED", "b1 KILLING", "b3 KILLING"]);
    run.ended("b1", &Ending::Exited(0)).ended("b3", &Ending::Exited(0));
    assert_eq!(run.told(), ["b1 KILLED", "b3 KILLED"]);
    assert!(run.acknowledge_all().is_done());
}

#[test]
fn a_group_with_a_task_that_cannot_be_run_does_not_run() {
    let mut run = Run::new(Runner::groups(7));
    run.event(Event::LaunchGroup(vec![task("a", PLAIN), Task::new("b", "cpus:1".parse().unwrap())]));
    run.started("a");
    assert_eq!(run.actions(), ["start a", "terminate a", "terminate a"], "once more when it runs");
    run.ended("a", &Ending::Signaled(15));
    assert_eq!(run.told(), ["a STARTING", "b FAILED", "a KILLING", "a KILLED"]);
}

#[test]
fn a_task_is_run_once_and_by_a_command_executor_alone() {
    let mut run = launched(Runner::command(7), PLAIN);
    run.event(Event::Launch(task("t", PLAIN)));
    assert_eq!((run.told(), run.actions()), (vec![], vec![]), "the agent may repeat itself");
    run.event(Event::Launch(task("u", PLAIN)));
    assert_eq!((run.told(), run.actions()), (vec!["u FAILED".to_owned()], vec![]));
}

#[test]
fn a_shutdown_kills_all_in_time_to_tell_of_it() {
    let runner = Runner::groups(7).shutdown_grace(Duration::from_secs(3));
    let mut run = Run::new(runner);
    run.event(Event::LaunchGroup(vec![task("a", PLAIN)])).started("a").event(Event::Shutdown).pass(1.9);
    assert_eq!(run.actions(), ["start a", "terminate a"]);
    assert_eq!(run.pass(0.1).actions(), ["kill a"]);
    run.ended("a", &Ending::Signaled(9)).event(Event::Launch(task("b", PLAIN)));
    assert_eq!(run.told(), ["a STARTING", "a RUNNING", "a KILLING", "a KILLED", "b FAILED"]);
    assert!(run.acknowledge_all().is_done());
    assert!(Run::new(Runner::groups(7)).event(Event::Shutdown).is_done(), "one that has nothing to do");
}

const CHECKED: &str = r#"{
    "health_check": {"type":"TCP","tcp":{"port":1},"delay_seconds":1,"interval_seconds":2,"grace_period_seconds":0,
        "consecutive_failures":2},
    "check": {"type":"COMMAND","command":{"command":{"value":"x"}},"delay_seconds":1.5,"interval_seconds":50}}"#;

#[test]
fn an_unhealthy_task_is_killed_and_its_last_status_says_so() {
    let mut run = Run::new(Runner::command(7));
    run.event(Event::Launch(task("t", CHECKED))).started("t");
    let check = |status: &TaskStatus| status.details.get("check_status").map(|status| status.text().to_owned());
    assert_eq!(check(&run.told[1]).as_deref(), Some(r#"{"type":"COMMAND","command":{}}"#));
    run.told();
    run.actions();
    assert_eq!(run.pass(1.5).actions(), ["health_check of t", "check of t"]);
    let probed = |run: &mut Run, kind, result: ProbeResult| {
        run.act(|runner, reports| runner.probed(&"t".into(), kind, &result, reports));
        std::mem::take(&mut run.told)
    };
    let told = probed(&mut run, CheckKind::Health, ProbeResult::Connected(true));
    assert_eq!((told[0].state, told[0].healthy), (TaskState::Running, Some(true)));
    assert_eq!(told[0].reason.as_deref(), Some("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"));
    let told = probed(&mut run, CheckKind::Check, ProbeResult::Exited(4));
    assert_eq!(told[0].reason.as_deref(), Some("REASON_TASK_CHECK_STATUS_UPDATED"));
    assert_eq!(check(&told[0]).as_deref(), Some(r#"{"type":"COMMAND","command":{"exit_code":4}}"#));
    assert_eq!(told[0].healthy, Some(true), "all that is known stands in each");
    for expected in [vec!["t RUNNING"], vec!["t RUNNING", "t KILLING"]] {
        assert_eq!(run.pass(2.0).actions(), ["health_check of t"]);
        run.told = probed(&mut run, CheckKind::Health, ProbeResult::Connected(false));
        assert_eq!(run.told[0].healthy, Some(false));
        assert_eq!(run.told(), expected);
    }
    assert_eq!(run.actions(), ["terminate t"]);
    assert!(probed(&mut run, CheckKind::Check, ProbeResult::Exited(5)).is_empty(), "it ends");
    run.ended("t", &Ending::Signaled(15));
    assert_eq!((run.told[0].state, run.told[0].healthy), (TaskState::Killed, Some(false)));
}

#[test]
fn statuses_that_are_not_acknowledged_go_with_the_next_subscription() {
    let mut run = launched(Runner::command(7), PLAIN);
    let Call::Subscribe { tasks, updates } = run.session.subscribe() else { panic!("a registration") };
    assert_eq!((tasks.len(), updates.len()), (1, 2));
    let uuid = updates[0].uuid.unwrap();
    run.event(Event::Acknowledged { task: "t".into(), uuid }).ended("t", &Ending::Exited(0));
    let Call::Subscribe { tasks, updates } = run.session.subscribe() else { panic!("a registration") };
    assert_eq!((tasks.len(), updates.len()), (0, 2));
}

#[test]
fn a_status_made_while_a_subscription_is_on_its_way_is_told_after_it() {
    let mut run = launched(Runner::command(7), PLAIN);
    run.acknowledge_all().ended("t", &Ending::Exited(0));
    let lost = std::mem::take(&mut run.told);
    run.event(Event::Subscribed(Box::new(Subscribed::new(ExecutorInfo::new("e1")))));
    assert_eq!(run.told, lost, "the same, with the same uuid");
    run.acknowledge_all();
    assert!(run.is_done());
}
