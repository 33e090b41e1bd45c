//! Checkpoints on a real disk: what is written is read, and whatever is broken costs no more than its executor.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

use apportion::{
    Agent, Drain, ExecutorInfo, Framework, Json, Reservation, Resources, Role, Task, TaskState, TaskStatus, Uuid,
};
use apportion_agent::checkpoint::Store;
use apportion_agent::machine::{
    AgentRecord, ContainerId, ExecutorKind, ExecutorRecord, Process, Record, Recovered, Run,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn run(executor: &str) -> Run {
    Run { framework: "f1".into(), executor: executor.into(), container: ContainerId::new(format!("c-{executor}")) }
}

fn status(task: &str, number: u64, state: TaskState) -> TaskStatus {
    let mut status = TaskStatus::new(task, state).message("ü \n \u{1}");
    status.uuid = Some(Uuid::from_seed(7, number));
    status.data = Some(vec![0, 255]);
    status.details.insert("labels", Json::object([("labels", Json::array(["x"]))]));
    status
}

fn task(id: &str) -> Task {
    let mut task = Task::new(id, "cpus:0.5;mem:32;ports:[31000-31001]".parse().unwrap());
    task.role = Some("eng/web".parse().unwrap());
    task.agent = Some("a1".into());
    task.detail("name", "a name").detail("command", Json::object([("value", "sleep 10")]))
}

/// Everything that an agent stores: two executors of a framework, each with a task.
fn records() -> Vec<Record> {
    let web: Role = "eng/web".parse().unwrap();
    let mut agent =
        AgentRecord::new(Agent::new("a1", "cpus:4;mem:64".parse().unwrap()).attribute("rack", "r1"), "boot");
    let reserved: Resources = "cpus:1".parse().unwrap();
    let reserved = reserved.iter().map(|item| item.clone().reserved(Reservation::dynamic(web.clone()).by("ops")));
    agent.checkpointed = Resources::try_from_iter(reserved).unwrap();
    agent.drain = Some(Drain::default());
    agent.epoch = 3;
    let framework = Framework::new("f1").role(web.clone()).checkpoint().detail("hostname", "h");
    let mut records = vec![Record::Agent(Box::new(agent)), Record::Framework(Arc::new(framework))];
    for (number, executor) in ["e1", "e2"].into_iter().enumerate() {
        let mut info = ExecutorInfo::new(executor).detail("command", Json::object([("value", "./run")]));
        info.resources = "cpus:0.1".parse().unwrap();
        info.role = Some(web.clone());
        let task = task(&format!("t-{executor}"));
        let pid = u32::try_from(number).unwrap() + 100;
        records.push(Record::Executor(Box::new(ExecutorRecord::new(
            run(executor),
            ExecutorKind::Custom,
            web.clone(),
            info,
        ))));
        records.push(Record::Process(run(executor), Process { pid, started: 5 }));
        records.push(Record::Task(run(executor), Box::new(task.clone())));
        let first = status(task.id.as_str(), 1, TaskState::Running);
        records.push(Record::Update(run(executor), Box::new(first.clone())));
        records.push(Record::Acknowledged(run(executor), task.id.clone(), first.uuid.unwrap()));
        records.push(Record::Update(run(executor), Box::new(status(task.id.as_str(), 2, TaskState::Finished))));
    }
    records
}

fn written(folder: &Path) -> Recovered {
    let (mut store, _, _) = Store::open(folder).unwrap();
    for record in records() {
        store.write(&record).unwrap();
    }
    let (_, recovered, broken) = Store::open(folder).unwrap();
    assert_eq!(broken, []);
    recovered
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
            if kind.is_dir() {
                folders.push(path)
            } else if kind.is_file() {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

/// Returns the executors that have a folder.
fn executors(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("meta/slaves/a1/frameworks/f1/executors")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let recovered = written(folder.path());
    let [Record::Agent(agent), Record::Framework(framework), Record::Executor(executor), ..] = &records()[..] else {
        panic!("in that order")
    };
    assert_eq!((recovered.id.as_ref().unwrap().as_str(), recovered.agent.as_ref()), ("a1", Some(&**agent)));
    let found = &recovered.frameworks[0];
    assert_eq!((recovered.frameworks.len(), found.framework.as_ref()), (1, Some(&**framework)));
    let runs: Vec<&str> = found.runs.iter().map(|run| run.run.executor.as_str()).collect();
    assert_eq!(runs, ["e1", "e2"]);
    let first = &found.runs[0];
    assert_eq!((first.record.as_ref(), first.process), (Some(&**executor), Some(Process { pid: 100, started: 5 })));
    let task = &first.tasks[0];
    assert_eq!(task.task, self::task("t-e1"));
    let updates = [status("t-e1", 1, TaskState::Running), status("t-e1", 2, TaskState::Finished)];
    assert_eq!((&task.updates[..], &task.acknowledged[..]), (&updates[..], &[updates[0].uuid.unwrap()][..]));
}

#[test]
fn what_is_forgotten_is_gone_and_a_new_id_replaces_latest() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let (mut store, _, _) = Store::open(folder.path()).unwrap();
    store.write(&Record::ForgetTask(run("e1"), "t-e1".into())).unwrap();
    store.write(&Record::ForgetRun(run("e2"))).unwrap();
    let (_, recovered, broken) = Store::open(folder.path()).unwrap();
    let runs = &recovered.frameworks[0].runs;
    assert_eq!((runs.len(), runs[0].tasks.len(), broken.len()), (1, 0, 0));
    assert_eq!(executors(folder.path()), ["e1"]);

    store.write(&Record::ForgetAgent).unwrap();
    store.write(&Record::ForgetTask(run("e1"), "t-e1".into())).unwrap(); // again, and after the end
    let (mut store, recovered, _) = Store::open(folder.path()).unwrap();
    assert_eq!((recovered.id, recovered.strays.len()), (None, 1));
    assert_eq!(recovered.strays[0].process, Some(Process { pid: 100, started: 5 }));

    store.write(&Record::Agent(Box::new(AgentRecord::new(Agent::new("a2", Resources::new()), "boot")))).unwrap();
    store.write(&Record::ForgetStrays).unwrap();
    let (_, recovered, broken) = Store::open(folder.path()).unwrap();
    assert_eq!((recovered.id.unwrap().as_str(), recovered.strays.len(), broken.len()), ("a2", 0, 0));
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let path = files(folder.path()).into_iter().find(|path| path.ends_with("t-e1/task.updates")).unwrap();
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i + 1).collect();
    assert_eq!(ends.len(), 3);
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let lines = ends.iter().filter(|end| **end <= length).count();
        let (mut store, recovered, broken) = Store::open(folder.path()).unwrap();
        let task = &recovered.frameworks[0].runs[0].tasks[0];
        assert_eq!(task.updates.len() + task.acknowledged.len(), lines, "{length}");
        let is_torn = length > 0 && !ends.contains(&length);
        assert_eq!(broken.len(), usize::from(is_torn), "{length}");
        assert!(!recovered.frameworks[0].runs[0].is_broken);

        fs::write(&path, &whole[..length]).unwrap(); // torn again, by a writer that goes on
        store.write(&Record::Update(run("e1"), Box::new(status("t-e1", 9, TaskState::Failed)))).unwrap();
        let (_, recovered, broken) = Store::open(folder.path()).unwrap();
        let task = &recovered.frameworks[0].runs[0].tasks[0];
        assert_eq!(task.updates.last(), Some(&status("t-e1", 9, TaskState::Failed)), "{length}");
        assert_eq!((task.updates.len() + task.acknowledged.len(), broken.len()), (lines + 1, 0), "{length}");
    }
}

#[test]
fn each_file_cut_in_turn_costs_its_executor_alone_with_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let all = files(folder.path());
    assert_eq!(all.len(), 2 + 2 * 4);
    for path in all {
        let whole = fs::read(&path).unwrap();
        for length in [0, whole.len() / 2] {
            fs::write(&path, &whole[..length]).unwrap();
            let (_, recovered, broken) = Store::open(folder.path()).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_empty_list = name == "task.updates" && length == 0;
            assert_eq!(broken.len(), usize::from(!is_empty_list), "{} {length}: {broken:?}", path.display());
            assert_eq!(recovered.id.as_ref().unwrap().as_str(), "a1");
            assert_eq!(recovered.agent.is_some(), name != "slave.info");
            let framework = &recovered.frameworks[0];
            assert_eq!(framework.framework.is_some(), name != "framework.info");
            let is_ended = |executor| path.to_str().unwrap().contains(executor) && name != "task.updates";
            let flags: Vec<bool> = framework.runs.iter().map(|run| run.is_broken).collect();
            assert_eq!(flags, [is_ended("/e1/"), is_ended("/e2/")], "{}", path.display());
            fs::write(&path, &whole).unwrap();
        }
    }
    let (_, recovered, broken) = Store::open(folder.path()).unwrap();
    assert_eq!((recovered.frameworks[0].runs.len(), broken.len()), (2, 0));
}

#[test]
fn half_made_and_half_removed_folders_count_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    for path in files(folder.path()) {
        let file = path.file_name().unwrap().to_str().unwrap();
        if path.to_str().unwrap().contains("/e2/") && ["executor.info", "task.info"].contains(&file) {
            fs::remove_file(path).unwrap();
        }
    }
    let (_, recovered, broken) = Store::open(folder.path()).unwrap();
    assert_eq!((recovered.frameworks[0].runs.len(), broken.len()), (1, 0));
    assert_eq!(recovered.frameworks[0].runs[0].run.executor.as_str(), "e1");
    assert_eq!(executors(folder.path()), ["e1"]);
}

#[test]
fn the_folder_of_an_executor_lasts_as_long_as_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let (mut store, _, _) = Store::open(folder.path()).unwrap();
    let [_, _, Record::Executor(first), ..] = &records()[..] else { panic!("in that order") };
    let mut second = (**first).clone();
    second.run.container = ContainerId::new("c-again");
    store.write(&Record::Executor(Box::new(second.clone()))).unwrap();
    store.write(&Record::ForgetRun(first.run.clone())).unwrap();
    let (_, recovered, _) = Store::open(folder.path()).unwrap();
    assert_eq!((&recovered.frameworks[0].runs[0].run, executors(folder.path()).len()), (&second.run, 2));
    store.write(&Record::ForgetRun(second.run)).unwrap();
    assert_eq!(executors(folder.path()), ["e2"]);
}

#[test]
fn a_dangling_latest_starts_anew_and_what_ran_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let latest = folder.path().join("meta/slaves/latest");
    fs::remove_file(&latest).unwrap();
    std::os::unix::fs::symlink("nowhere", &latest).unwrap();
    let (_, recovered, broken) = Store::open(folder.path()).unwrap();
    assert_eq!((recovered.id, recovered.frameworks.len(), recovered.strays.len()), (None, 0, 2));
    assert!(broken[0].to_string().contains("nowhere is no folder here; the agent starts anew"), "{}", broken[0]);
}

#[test]
fn a_record_that_cannot_be_stored_names_the_folder_and_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _, _) = Store::open(folder.path()).unwrap();
    let error = store.write(&records()[1]).unwrap_err().to_string();
    assert!(error.contains("the agent itself is not stored"), "{error}");
    store.write(&records()[0]).unwrap();
    let blocked = folder.path().join("meta/slaves/a1/frameworks");
    fs::write(&blocked, "a file, where a folder should be").unwrap();
    let error = store.write(&records()[1]).unwrap_err();
    assert_eq!(error.folder, blocked.join("f1"));
    assert!(error.to_string().contains("KiB are free there"), "{error}");
    fs::remove_file(&blocked).unwrap();
    let (_, recovered, _) = Store::open(folder.path()).unwrap();
    assert_eq!(recovered.frameworks.len(), 0);
}
