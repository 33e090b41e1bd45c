//! [`Containers`]: starts, watches and ends containers, each in a thread of its own, and tells the machine what happens to them.

mod docker;
mod enforcement;
mod leftovers;
mod limits;
mod process;
mod program;

use crate::machine::{
    ContainerEvent, ContainerId, Containerizer, Input, Launch, Limitation, Process as Stored, Program, Run, Stray,
};
use crate::settings::Settings;
use apportion::Resources;
use apportion_exec::cgroup::{Cgroup, Cgroups};
use apportion_exec::fetch::Canceller;
use apportion_exec::{Process, ProcessId, Tree};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use tokio::sync::{Notify, mpsc};

/// The stack of a thread that waits for a container.
const STACK: usize = 256 << 10;

/// The stack of a thread that asks an engine, which is a client of HTTP with all that this takes. What it does not use costs nothing.
const ENGINE_STACK: usize = 2 << 20;

/// The error of a launch that is given up. It stands in the `stderr` of the sandbox alone.
const DESTROYED: &str = "the container was destroyed during its launch";

/// The variable that all processes of a container have, with its id.
const MARK: &str = "MESOS_CONTAINER_ID";

/// The containers of an agent. A clone is another handle of the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Containers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    cgroups: Result<Cgroups, String>,
    inputs: mpsc::UnboundedSender<Input>,
    all: Mutex<BTreeMap<ContainerId, Arc<Container>>>,
    /// Fetches that have succeeded, and those that have failed.
    fetches: [AtomicU64; 2],
}

/// A container from its launch to its end.
#[derive(Debug)]
struct Container {
    id: ContainerId,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// True once it is to end.
    is_destroyed: bool,
    resources: Resources,
    /// The sandbox.
    directory: PathBuf,
    /// The limit because of which it is ended.
    limitation: Option<Limitation>,
    cgroup: Option<Cgroup>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Preparing,
    Fetching(Canceller),
    Running(Arc<Process>),
    /// It is a container of an engine, which is told to end.
    Docker(Arc<Notify>),
}

impl Container {
    fn new(id: ContainerId, resources: Resources, directory: PathBuf) -> Self {
        let state = State {
            is_destroyed: false,
            resources,
            directory,
            limitation: None,
            cgroup: None,
            stage: Stage::Preparing,
        };
        Self { id, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how far it is. Returns false if it is to end.
    fn enter(&self, stage: Stage) -> bool {
        let mut state = self.lock();
        state.stage = stage;
        !state.is_destroyed
    }

    /// Ends it because of a limit that it has reached.
    fn reach(&self, limitation: Limitation) {
        self.lock().limitation.get_or_insert(limitation);
        self.destroy();
    }

    /// Ends it: what is fetched is given up, what runs is killed.
    fn destroy(&self) {
        let process = {
            let mut state = self.lock();
            state.is_destroyed = true;
            match &state.stage {
                Stage::Preparing => None,
                Stage::Fetching(canceller) => {
                    canceller.cancel();
                    None
                }
                Stage::Running(process) => Some(process.clone()),
                Stage::Docker(destroyed) => {
                    destroyed.notify_one();
                    None
                }
            }
        };
        if let Some(process) = process {
            process.kill();
        }
    }
}

impl Containers {
    /// Finds out what this program may do. Without cgroups containers have no limits, of which one warning tells.
    pub(crate) fn new(settings: Arc<Settings>, inputs: mpsc::UnboundedSender<Input>) -> Self {
        let cgroups = Cgroups::detect(&settings.cgroups_root).map_err(|error| error.to_string());
        let lack = match &cgroups {
            Err(reason) => Some(reason.as_str()),
            Ok(cgroups) => cgroups.no_limits(),
        };
        if let Some(reason) = lack {
            tracing::warn!(reason, "containers run without limits");
        }
        Self(Arc::new(Shared { settings, cgroups, inputs, all: Mutex::default(), fetches: Default::default() }))
    }

    /// Returns what keeps containers apart, for people.
    pub(crate) fn isolation(&self) -> String {
        match &self.0.cgroups {
            Ok(cgroups) => match cgroups.no_limits() {
                None => "cgroups/cpu,cgroups/mem".to_owned(),
                Some(reason) => format!("cgroups, without limits: {reason}"),
            },
            Err(reason) => format!("posix, without limits: {reason}"),
        }
    }

    /// Launches a container.
    pub(crate) fn launch(&self, launch: Launch) {
        let container = self.add(&launch.run.container, launch.resources.clone(), launch.directory.clone());
        let shared = self.0.clone();
        let is_docker = launch.containerizer == Containerizer::Docker;
        let stack = if is_docker { ENGINE_STACK } else { STACK };
        self.spawn(launch.run.container.clone(), stack, move || {
            let followed = if is_docker && !matches!(launch.program, Program::BuiltIn(_)) {
                docker::launch(&shared, &launch, &container).map(|launched| shared.follow_docker(&container, launched))
            } else {
                process::launch(&shared, &launch, &container)
                    .map(|process| shared.follow(&container, &process, is_docker))
            };
            if let Err(message) = followed {
                program::tell(&launch.directory, &message);
                shared.remove(&container);
                shared.tell(&container.id, ContainerEvent::Failed { message: message.into() });
            }
        });
    }

    /// Finds the container of a run before the agent's start again.
    pub(crate) fn reattach(&self, run: Run, directory: PathBuf, process: Option<Stored>, containerizer: Containerizer) {
        let container = self.add(&run.container, Resources::new(), directory);
        let shared = self.0.clone();
        let is_docker = containerizer == Containerizer::Docker;
        let stack = if is_docker { ENGINE_STACK } else { STACK };
        self.spawn(run.container.clone(), stack, move || {
            let tree = shared.tree(&run.container, process);
            container.lock().cgroup = shared.cgroup(&run.container);
            if let Some(found) =
                process.filter(|_| is_docker).and_then(|process| docker::find(&shared, &run.container, process))
            {
                return shared.follow_docker(&container, found);
            }
            if let Some(found) = process.and_then(|_| Process::find(tree.clone())) {
                return shared.follow(&container, &Arc::new(found), is_docker);
            }
            shared.clean(&tree);
            if is_docker {
                docker::clean(&shared, &run.container);
            }
            shared.end(&container, None, None);
        });
    }

    /// Ends a container, whatever it does.
    pub(crate) fn destroy(&self, id: &ContainerId) {
        let container = self.0.lock().get(id).cloned();
        match container {
            // Signals and the look for processes may take a while.
            Some(container) => self.spawn(id.clone(), STACK, move || container.destroy()),
            None => self.0.tell(id, ContainerEvent::Ended { status: None, limitation: None }),
        }
    }

    /// Ends what is left of a run of which nobody wants to hear.
    pub(crate) fn destroy_stray(&self, Stray { run, process }: Stray) {
        let shared = self.0.clone();
        self.spawn(run.container.clone(), STACK, move || {
            tracing::info!(container = %run.container, "a container of an earlier agent is ended");
            shared.end_rest(&run.container, process);
            shared.tell(&run.container, ContainerEvent::Ended { status: None, limitation: None });
        });
    }

    /// Changes the limits of a container.
    pub(crate) fn resize(&self, id: &ContainerId, resources: Resources) {
        let Some(container) = self.0.lock().get(id).cloned() else { return };
        let quota = self.0.settings.cgroups_enable_cfs;
        let cgroup = {
            let mut state = container.lock();
            state.resources = resources.clone();
            state.cgroup.clone()
        };
        if let Some(cgroup) = cgroup
            && let Err(error) = cgroup.limit(&limits::of(&resources, quota))
        {
            tracing::warn!(%error, container = %id, "the limits of a container are not changed");
        }
    }

    /// Returns the processes of the containers that run, and what they may use.
    pub(crate) fn trees(&self) -> BTreeMap<ContainerId, (Tree, Resources)> {
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        let tree = |container: Arc<Container>| {
            let state = container.lock();
            let Stage::Running(process) = &state.stage else { return None };
            Some((container.id.clone(), (process.tree().clone(), state.resources.clone())))
        };
        all.into_iter().filter_map(tree).collect()
    }

    /// Returns how many fetches have succeeded, and how many have failed.
    pub(crate) fn fetches(&self) -> [u64; 2] {
        self.0.fetches.each_ref().map(|number| number.load(Ordering::Relaxed))
    }

    /// Removes containers of the engine that ended long ago, and ends those that no executor has. It waits for the engine.
    pub(crate) fn sweep_docker(&self, agent: &str) {
        let is_live = |id: &str| self.0.lock().keys().any(|known| known.as_str() == id);
        docker::sweep(&self.0.settings, agent, is_live);
    }

    fn add(&self, id: &ContainerId, resources: Resources, directory: PathBuf) -> Arc<Container> {
        let container = Arc::new(Container::new(id.clone(), resources, directory));
        self.0.lock().insert(id.clone(), container.clone());
        container
    }

    /// Runs something in a thread of its own. If there is none, the container has failed.
    fn spawn(&self, id: ContainerId, stack: usize, work: impl FnOnce() + Send + 'static) {
        let spawned = thread::Builder::new().name("container".to_owned()).stack_size(stack).spawn(work);
        if let Err(error) = spawned {
            self.0.lock().remove(&id);
            self.0.tell(&id, ContainerEvent::Failed { message: format!("no thread: {error}").into() });
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Arc<Container>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: &ContainerId, event: ContainerEvent) {
        // It fails when the agent has ended.
        let _ = self.inputs.send(Input::Container(id.clone(), event));
    }

    /// Counts a fetch.
    fn fetched(&self, result: Result<(), String>) -> Result<(), String> {
        self.fetches[usize::from(result.is_err())].fetch_add(1, Ordering::Relaxed);
        result
    }

    fn remove(&self, container: &Container) {
        let cgroup = container.lock().cgroup.take();
        if let Some(cgroup) = cgroup {
            remove(&cgroup);
        }
        self.lock().remove(&container.id);
    }

    fn cgroup(&self, id: &ContainerId) -> Option<Cgroup> {
        self.cgroups.as_ref().ok()?.find(id.as_str())
    }

    /// Returns all that belongs to a container of before.
    fn tree(&self, id: &ContainerId, process: Option<Stored>) -> Tree {
        // Without a process it is known by its cgroup and by its variable alone: no process has this number.
        let leader = process.map_or(ProcessId { pid: u32::MAX >> 1, start_time: u64::MAX }, |process| ProcessId {
            pid: process.pid,
            start_time: process.started,
        });
        let tree = Tree::new(leader).variable(MARK, id.as_str());
        match self.cgroup(id) {
            Some(cgroup) => tree.cgroup(cgroup),
            None => tree,
        }
    }

    /// Ends what is left of a container of before, and removes its cgroup.
    fn end_rest(&self, id: &ContainerId, process: Option<Stored>) {
        self.clean(&self.tree(id, process));
        if let Some(cgroup) = self.cgroup(id) {
            remove(&cgroup);
        }
    }

    /// Kills all of a tree, until nothing is left.
    fn clean(&self, tree: &Tree) {
        while let Err(survivors) = tree.kill_all(std::time::Duration::from_secs(10)) {
            tracing::warn!(%survivors, "a container is still being ended");
        }
    }

    /// Waits for the end of a container that runs.
    fn follow(&self, container: &Arc<Container>, process: &Arc<Process>, is_docker: bool) {
        let id = process.id();
        let goes_on = container.enter(Stage::Running(process.clone()));
        self.tell(&container.id, ContainerEvent::Started(Stored { pid: id.pid, started: id.start_time }));
        if !goes_on {
            process.kill();
        }
        let status = match process.wait() {
            Ok(exit) => exit.status().map(apportion_exec::WaitStatus::raw),
            Err(error) => {
                tracing::error!(%error, container = %container.id, "a container cannot be waited for, and is ended");
                self.clean(process.tree());
                None
            }
        };
        if is_docker {
            docker::clean(self, &container.id);
        }
        let limitation = {
            let mut state = container.lock();
            let enforced = state.limitation.take();
            enforced.or_else(|| state.cgroup.as_ref().and_then(|cgroup| limits::reached(cgroup, &state.resources)))
        };
        self.end(container, status, limitation);
    }

    /// Waits for the end of a container of the engine.
    fn follow_docker(&self, container: &Arc<Container>, launched: docker::InDocker) {
        let (status, limitation) = launched.follow(self, container);
        let enforced = container.lock().limitation.take();
        let limitation = enforced.or(limitation);
        self.end(container, status, limitation);
    }

    /// Tells that nothing of a container is left.
    fn end(&self, container: &Container, status: Option<i32>, limitation: Option<Limitation>) {
        self.remove(container);
        self.tell(&container.id, ContainerEvent::Ended { status, limitation });
    }
}

fn remove(cgroup: &Cgroup) {
    if let Err(error) = cgroup.remove() {
        tracing::warn!(%error, "a cgroup cannot be removed");
    }
}
