//! The program `marathon` with `--exec`: real processes, their output, their health, and their end.

use serde_json::Value as Json;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Returns the program, in the folder of the package.
fn marathon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marathon"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A run of apps, with a folder for their sandboxes.
struct Run {
    folder: TempDir,
    child: Child,
    lines: BufReader<ChildStdout>,
    told: String,
}

impl Run {
    /// Starts these apps; `FIFO` in them is replaced by a named pipe, for [`Run::writers`].
    fn begin(apps: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mut command = marathon(&["--exec", "--sandbox"]);
        command.arg(folder.path().join("sandboxes"));
        for (index, app) in apps.iter().enumerate() {
            let file = folder.path().join(format!("{index}.json"));
            fs::write(&file, app.replace("FIFO", fifo.to_str().unwrap())).unwrap();
            command.arg(file);
        }
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { folder, child, lines, told: String::new() }
    }

    /// Reads on to the first line that contains the text.
    fn until(&mut self, part: &str) {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                let mut why = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("{part} is not in:\n{}{why}", self.told);
            }
            self.told.push_str(&line);
            if line.contains(part) {
                return;
            }
        }
    }

    /// Returns the reading end of the named pipe, which ends when all writers are gone.
    fn writers(&self) -> File {
        File::open(self.folder.path().join("fifo")).unwrap()
    }

    fn interrupt(&self) {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Returns a file in the sandbox of a task.
    fn file(&self, task: &str, name: &str) -> PathBuf {
        self.folder.path().join("sandboxes").join(task).join(name)
    }

    /// Reads on to the end. Returns the exit status.
    fn end(&mut self) -> Option<i32> {
        self.lines.read_to_string(&mut self.told).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Returns the position of a line.
    fn place(&self, part: &str) -> usize {
        self.told.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{}", self.told))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns what is read until all writers are gone.
fn rest(mut writers: File) -> String {
    let mut rest = String::new();
    writers.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn the_app_of_the_talk_runs_until_ctrl_c() {
    let child = marathon(&["--exec", "--follow", "ubuntu"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("deploy   1: finished")));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let told: Vec<String> = lines.map(Result::unwrap).collect();
    for part in
        ["ubuntu.1  /ubuntu", "ubuntu.2  /ubuntu", "ubuntu.1 TASK_KILLED (Command terminated with signal Terminated)"]
    {
        assert!(told.iter().any(|line| line.contains(part)), "{told:?}");
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(text(&output.stderr), "interrupted; all tasks have ended\n");
}

#[test]
fn a_task_is_followed_and_its_end_is_its_status() {
    let app = r#"{"id": "job", "cpus": 0.1, "env": {"WHO": "me"}, "ports": [0],
        "cmd": "echo $WHO $MARATHON_APP_ID $MESOS_TASK_ID $HOST; echo $PORT0 > port; pwd; echo bad >&2; printf end; exit 3"}"#;
    let mut run = Run::begin(&[app], &["--follow", "job.1"]);
    run.until("launch   job.2");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
    let sandbox = fs::canonicalize(run.folder.path().join("sandboxes/job.1")).unwrap();
    let lines = format!("job.1 | me /job job.1 127.0.0.1\njob.1 | {}\n", sandbox.display());
    let failed = run.place("job.1 TASK_FAILED (Command exited with status 3)");
    for part in [lines.as_str(), "\njob.1 | bad\n", "\njob.1 | end\n"] {
        assert!(run.place(part) < failed, "{}", run.told); // all output comes before the end of the task
    }
    assert!(failed < run.place("backoff  /job is not launched before"), "{}", run.told);
    let summary = run.place("; the last one: job.");
    assert!(run.told[..summary].ends_with(" failure") || run.told[..summary].ends_with(" failures"), "{}", run.told);
    assert!(run.told[summary..].contains(" TASK_FAILED (Command exited with status 3)\n  job."), "{}", run.told);
    assert!(run.told[summary..].contains(" | bad\n"), "{}", run.told);
    assert!(!run.told[..summary].contains("job.2 |"), "{}", run.told);
    assert_eq!(fs::read_to_string(run.file("job.1", "stdout")).unwrap().lines().last(), Some("end"));
    assert_eq!(fs::read_to_string(run.file("job.1", "stderr")).unwrap(), "bad\n");
    let port: u16 = fs::read_to_string(run.file("job.1", "port")).unwrap().trim().parse().unwrap();
    assert!((31_000..=31_293).contains(&port), "{port}");
}

#[test]
fn a_sick_task_is_killed_and_replaced() {
    let app = r#"{"id": "web", "cpus": 0.1, "ports": [], "cmd": "touch up; exec sleep 1000", "healthChecks": [{"protocol": "COMMAND",
        "command": {"value": "test -e up"}, "gracePeriodSeconds": 0, "intervalSeconds": 1, "maxConsecutiveFailures": 1}]}"#;
    let mut run = Run::begin(&[app], &[]);
    run.until("web.1 TASK_RUNNING healthy");
    run.until("deploy   1: finished");
    fs::remove_file(run.file("web.1", "up")).unwrap();
    run.until("web.1 TASK_RUNNING unhealthy (health check 0: exited with status 1)");
    run.until("web.1 TASK_KILLED");
    run.until("web.2 TASK_RUNNING healthy");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
    assert!(run.told.contains("kill     web.1 on "), "{}", run.told);
}

#[test]
fn what_others_need_ends_last_and_nothing_is_left() {
    let shop = r#"{"id": "/shop", "apps": [
        {"id": "db", "cpus": 0.1, "cmd": "exec 3> FIFO; echo db >&3; sleep 1000 & wait"},
        {"id": "web", "cpus": 0.1, "cmd": "exec 3> FIFO; trap '' TERM; echo web >&3; while :; do sleep 1000 & wait; done",
         "dependencies": ["db"], "taskKillGracePeriodSeconds": 1}]}"#;
    let mut run = Run::begin(&[shop], &[]);
    let mut writers = BufReader::new(run.writers());
    let mut begun = [String::new(), String::new()];
    for line in &mut begun {
        writers.read_line(line).unwrap();
    }
    begun.sort_unstable(); // launched in order, but their processes may start in any
    assert_eq!(begun, ["db\n", "web\n"]);
    run.interrupt();
    assert_eq!(run.end(), Some(130));
    let web = run.place("shop_web.1 TASK_KILLED (Command terminated with signal Killed)");
    assert!(web < run.place("shop_db.1 TASK_KILLED (Command terminated with signal Terminated)"), "{}", run.told);
    assert_eq!(rest(writers.into_inner()), "");
}

#[test]
fn a_second_ctrl_c_ends_all_at_once() {
    let stubborn = r#"{"id": "a", "cpus": 0.1, "taskKillGracePeriodSeconds": 1000,
        "cmd": "exec 3> FIFO; trap '' TERM; echo up >&3; while :; do sleep 1000 & wait; done"}"#;
    let mut run = Run::begin(&[stubborn], &[]);
    let mut writers = BufReader::new(run.writers());
    writers.read_line(&mut String::new()).unwrap();
    run.interrupt();
    run.until("kill     a.1 on ");
    run.interrupt();
    assert_eq!(run.end(), Some(130)); // long before its grace period is over
    assert_eq!(rest(writers.into_inner()), "");
}

#[test]
fn the_processes_of_a_lost_agent_end_with_it_and_others_take_their_place() {
    // The task is healthy once it has opened the pipe, or has seen that the task before it had.
    let app = r#"{"id": "a", "cpus": 0.1, "cmd": "test -e FIFO && exec 3> FIFO; rm -f FIFO; touch up; sleep 1000 & wait",
        "healthChecks": [{"protocol": "COMMAND", "command": {"value": "test -e up"}, "intervalSeconds": 1}]}"#;
    let mut run = Run::begin(&[app], &["--lose", "agent-1"]);
    let writers = run.writers();
    run.until("launch   a.1 on agent-1 ");
    assert_eq!(rest(writers), ""); // the first task is gone, and the second writes nowhere
    run.until("a.1 TASK_LOST");
    run.until("a.2 TASK_RUNNING");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
}

#[test]
fn whoever_has_seen_enough_leaves_nothing_running() {
    let app = r#"{"id": "a", "cpus": 0.1, "cmd": "exec 3> FIFO; while sleep 0.1; do echo on; done"}"#;
    let mut run = Run::begin(&[app], &["--follow", "a"]);
    let writers = run.writers();
    run.until("a.1 | on");
    let nobody = File::open("/dev/null").unwrap();
    run.lines = BufReader::new(ChildStdout::from(OwnedFd::from(nobody))); // the pipe is closed
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    assert_eq!(rest(writers), "");
}

#[test]
fn the_shop_of_the_readme_runs() {
    let mut child = marathon(&["groups/shop.json", "--exec", "--follow", "/shop/front/web"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "shop_front_web.1 | hello from shop_front_web.1"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let told: Vec<String> = lines.collect();
    let place =
        |part: &str| told.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {told:?}"));
    assert!(place("shop_front_web.4 TASK_KILLED") < place("kill     shop_data_db.1"));
    assert!(place("/shop/data/db     agent-1") < place("all is to end"));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn it_lasts_as_long_as_it_is_to_and_programs_are_told_in_json() {
    let app = r#"{"id": "a", "cpus": 0.1, "args": ["sleep", "1000"]}"#;
    let mut run = Run::begin(&[app], &["--for", "2", "--json"]);
    assert_eq!(run.end(), Some(0));
    let document: Json = serde_json::from_str(&run.told).unwrap();
    let states: Vec<&Json> = document["tasks"].as_array().unwrap().iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["TASK_RUNNING"]);
}

#[test]
fn what_is_still_to_come_when_time_is_up_is_not_played() {
    // The app never settles.
    let app = r#"{"id": "a", "cpus": 0.1, "cmd": "exec sleep 1000", "healthChecks": [{"protocol": "COMMAND",
        "command": {"value": "false"}}]}"#;
    let mut run = Run::begin(&[app], &["--for", "1", "--scale", "a=2"]);
    assert_eq!(run.end(), Some(0));
    assert!(run.told.contains("not any more: /a is to have 2\n"), "{}", run.told);
    assert!(
        run.told.contains("deployment 1 is not finished: step 1 of 1: start /a (1); it waits for /a\n"),
        "{}",
        run.told
    );
}

#[test]
fn what_cannot_really_run_is_refused_before_anything_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let agents = file(
        "agents.json",
        r#"{"agents": [{"id": "a", "resources": "cpus:1;ports:[5-9]"},
        {"id": "b", "resources": "cpus:1;ports:[1-3]"}, {"id": "c", "resources": "cpus:1;ports:[3-6]"}]}"#,
    );
    let https = file("https.json", r#"{"id": "a", "cmd": "true", "healthChecks": [{}, {"protocol": "HTTPS"}]}"#);
    let secret = file("secret.json", r#"{"id": "a", "cmd": "true", "env": {"KEY": {"secret": "s"}}}"#);
    let files = file("files.json", r#"{"id": "a", "cmd": "true", "uris": ["http://localhost/a.tar.gz"]}"#);
    let both = file("both.json", r#"{"id": "a", "cmd": "true", "args": ["true"]}"#);
    let image = file("image.json", r#"{"id": "a", "args": ["--x"], "container": {"docker": {"image": "web:1"}}}"#);
    let user = file("user.json", r#"{"id": "a", "cmd": "true", "user": "nobody-here"}"#);
    let volume = r#"{"volumes": [{"containerPath": "/data", "persistent": {"size": 1}}]}"#;
    let volume = file("volume.json", &format!(r#"{{"id": "a", "cmd": "true", "container": {volume}}}"#));
    let not_a_folder = Path::new(&both).join("x");
    let redis = "apps/redis-app.json";
    let cases: &[(&[&str], &str)] = &[
        (&["--exec", redis], "apps/redis-app.json: /redis has no cmd; its image redis is not run here\n"),
        (&["--exec", "--scale", "ubuntu=3", redis], "--scale: there is no app /ubuntu"),
        (
            &["--exec", &https],
            "https.json: /a has a health check [1] of HTTPS, which is not made here, expected HTTP\n",
        ),
        (&["--exec", &secret], "secret.json: /a has a secret as its KEY; there are no secrets here\n"),
        (&["--exec", &image], "image.json: /a has args for the entrypoint of its image web:1, which is not run here\n"),
        (&["--exec", &user], "user.json: user: found \"nobody-here\" of /a, expected the user of this program"),
        (&["--exec", &volume], "volume.json: /a has a volume at /data, expected a path in the sandbox of a task\n"),
        (&["--exec", &files], "files.json: /a has uris; nothing is fetched here\n"),
        (&["--exec", "--sandbox", folder.path().to_str().unwrap()], ".json, expected an empty folder\n"),
        (&[&both], "both.json:1:36: args: found [\"true\"], expected nothing beside a cmd\n"),
        (
            &["--exec", "--cluster", &agents],
            "agents.json: agents[2].resources: ports [3-3,5-6] are of another agent too",
        ),
        (&["--exec", "--follow", "redis"], "--follow: there is no app or task redis, expected one of /ubuntu, or of"),
        (&["--exec", "--follow", "ubuntu.x"], "--follow: there is no app or task ubuntu.x"),
        (&["--exec", "--sandbox", not_a_folder.to_str().unwrap()], "both.json/x: "),
        (&["--exec", "--follow", "ubuntu", "--json"], "--follow"),
        (&["--exec", "--sick", "ubuntu.1"], "--sick"),
        (&["--exec", "--for", "0"], "--for"),
        (&["--follow", "ubuntu"], "--exec"),
        (&["--for", "5"], "--exec"),
        (&["--sandbox", "x"], "--exec"),
    ];
    for (arguments, message) in cases {
        let output: Output = marathon(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn what_is_in_a_volume_outlives_its_task() {
    let app = r#"{"id": "store", "cpus": 0.1, "ports": [], "backoffSeconds": 0,
        "cmd": "echo $MESOS_TASK_ID >> data/log; test $(wc -l < data/log) -lt 2 || exec sleep 1000; exit 1",
        "container": {"volumes": [{"containerPath": "data", "persistent": {"size": 1}}]}}"#;
    let mut run = Run::begin(&[app], &[]);
    run.until("store.1 TASK_FAILED");
    run.until("store.2 TASK_RUNNING");
    let log = run.file("volumes", "store-1").join("data/log");
    // The shell of the second may not have written yet.
    let written = (0..3000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        fs::read_to_string(&log).unwrap().lines().count() == 2
    });
    assert!(written, "{:?}", fs::read_to_string(&log));
    assert_eq!(fs::read_to_string(&log).unwrap(), "store.1\nstore.2\n");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
}

#[test]
fn only_the_newest_sandboxes_of_ended_tasks_are_kept() {
    let app = r#"{"id": "job", "cpus": 0.1, "ports": [], "cmd": "exit 1", "backoffSeconds": 0}"#;
    let mut run = Run::begin(&[app], &["--keep", "2"]);
    run.until("job.5 TASK_FAILED");
    assert!(!run.file("job.1", "stdout").exists() && !run.file("job.2", "stdout").exists());
    run.interrupt();
    assert_eq!(run.end(), Some(130));
}
