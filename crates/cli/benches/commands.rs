//! Measures how fast a master and four agents on this machine run short commands (`true`), each with an executor of its own and in
//! groups of ten, and what an agent with a hundred running tasks needs at rest.
//!
//! `cargo bench -p apportion-cli`; with `-- --test` once with a few tasks.

#![expect(clippy::disallowed_types, clippy::print_stdout, reason = "a bench measures time")]

use apportion::{Accept, Calls, Framework, Offer, Resources, Role, Scheduler, Task, TaskState, TaskStatus};
use apportion_http::client::{ClientBuilder, Masters};
use serde_json::json;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

type Failed = Box<dyn Error>;

/// The agents of the first two measurements.
const AGENTS: usize = 4;

/// The tasks that may be under way at a time.
const WINDOW: usize = 40;

fn main() -> Result<(), Failed> {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (tasks, idle, rest) = if is_test { (20, 5, 1) } else { (1000, 100, 20) };
    for group in [1, 10] {
        let cluster = Cluster::start(AGENTS)?;
        let seconds = cluster.run(tasks, group, "true")?;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let rate = tasks as f64 / seconds;
        println!("{group:3} tasks an executor: {rate:5.0} tasks/s");
    }
    let cluster = Cluster::start(1)?;
    cluster.run(idle, 1, "exec sleep 1000")?;
    let agent = cluster.programs.last().ok_or("no agent")?.0.id();
    let before = cpu_seconds(agent)?;
    thread::sleep(Duration::from_secs(rest));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let share = (cpu_seconds(agent)? - before) / rest as f64 * 100.0;
    println!("at rest with {idle} tasks: {:.1} MiB, {share:.2} % of a CPU", resident_mib(agent)?);
    Ok(())
}

/// A program that ends with the bench.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// A master and agents, each a process of its own.
struct Cluster {
    master: Masters,
    programs: Vec<Program>,
    _folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.programs.reverse(); // agents end their executors before the master goes
        self.programs.clear();
    }
}

impl Cluster {
    fn start(agents: usize) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let (master, address) = start(folder.path(), "master", &["--allocation_interval=20ms"])?;
        let mut programs = vec![master];
        for number in 0..agents {
            let flags = [&format!("--master={address}"), "--resources=cpus:100;mem:10000;disk:10000"];
            programs.push(start(&folder.path().join(number.to_string()), "agent", &flags)?.0);
        }
        Ok(Self { master: address.parse()?, programs, _folder: folder })
    }

    /// Runs so many commands, in groups of that size: to their end if they end, else until they run. Returns the seconds from the
    /// first offer on.
    fn run(&self, tasks: usize, group: usize, command: &str) -> Result<f64, Failed> {
        let awaited = if command == "true" { TaskState::Finished } else { TaskState::Running };
        let commands = Commands {
            command: command.to_owned(),
            awaited,
            group,
            left: tasks,
            under_way: 0,
            begun: 0,
            since: None,
            failed: None,
        };
        let mut framework = Framework::new("").role(Role::new("web")?);
        framework.name = Some("commands".into());
        framework.user = Some("root".into());
        let mut client = ClientBuilder::new(self.master.clone(), framework).build(commands)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopped = runtime.block_on(async {
            loop {
                let commands = client.scheduler();
                if commands.failed.is_some() || commands.left == 0 && commands.under_way == 0 {
                    return None;
                }
                if let Some(reason) = client.step().await {
                    return Some(reason);
                }
            }
        });
        if let Some(reason) = stopped {
            return Err(reason.to_string().into());
        }
        let commands = client.scheduler();
        if let Some(failed) = &commands.failed {
            return Err(format!("{failed:?}").into());
        }
        let seconds = commands.since.ok_or("nothing was offered")?.elapsed().as_secs_f64();
        std::mem::forget(client); // a subscription that ends would end the tasks of the last measurement
        std::mem::forget(runtime);
        Ok(seconds)
    }
}

/// Starts a command of the program, and returns the address that it tells.
fn start(work_dir: &Path, command: &str, flags: &[&str]) -> Result<(Program, String), Failed> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_apportion"));
    program.args([command, "--port=0", &format!("--work_dir={}", work_dir.display())]).args(flags);
    let mut program = Program(program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let address = line.split_once("http://").and_then(|(_, rest)| rest.split(',').next()).ok_or("no address")?;
    Ok((program, address.trim().to_owned()))
}

/// A framework that launches commands, at most [`WINDOW`] at a time.
struct Commands {
    command: String,
    awaited: TaskState,
    group: usize,
    left: usize,
    under_way: usize,
    begun: usize,
    since: Option<Instant>,
    failed: Option<TaskStatus>,
}

impl Commands {
    fn task(&mut self, size: Resources) -> Task {
        self.begun += 1;
        Task::new(format!("t{}", self.begun), size)
            .detail("name", "command")
            .detail("command", json!({"value": self.command}))
    }
}

impl Scheduler for Commands {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.since.get_or_insert_with(Instant::now);
        let share = (WINDOW / AGENTS / self.group).max(1); // an agent gets no more at a time, so that all have work
        let size: Resources = "cpus:0.1;mem:32".parse().expect("a valid literal");
        for offer in offers {
            let (mut accept, mut free) = (Accept::of(&offer).refuse_rest_for(Duration::ZERO), offer.resources.clone());
            for _ in 0..share {
                if self.left == 0 || self.under_way + self.group > WINDOW {
                    break;
                }
                let mut take = |size: &Resources| {
                    let (taken, rest) = free.take(size, &offer.role).ok()?;
                    free = rest;
                    Some(taken)
                };
                let sizes: Option<Vec<Resources>> = (0..self.group).map(|_| take(&size)).collect();
                let Some(sizes) = sizes else { break };
                let executor = (self.group > 1).then(|| take(&size)).flatten();
                let mut tasks: Vec<Task> = sizes.into_iter().map(|size| self.task(size)).collect();
                self.left -= self.group;
                self.under_way += self.group;
                if let Some(of_executor) = executor {
                    let info = json!({"type": "DEFAULT", "executor_id": {"value": format!("e{}", self.begun)},
                        "resources": apportion::v1::WrittenResources::new(&of_executor)});
                    tasks = tasks.into_iter().map(|task| task.detail("executor", info.clone())).collect();
                    accept = accept.launch_group(tasks);
                } else {
                    accept = tasks.into_iter().fold(accept, Accept::launch);
                }
            }
            calls.accept(accept); // one that launches nothing is a decline
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        if status.state == self.awaited {
            self.under_way -= 1;
        } else if status.state.is_terminal() {
            self.failed = Some(status);
        }
    }
}

/// Returns the CPU time of a process.
fn cpu_seconds(pid: u32) -> Result<f64, Failed> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("no name")?;
    let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(f64::from(ticks) / 100.0) // a tick is 10 ms on Linux
}

/// Returns the memory of a process.
fn resident_mib(pid: u32) -> Result<f64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1024.0)
}
