//! The commands of operators, against a master that runs.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

#[allow(dead_code, reason = "other tests use more of it")]
mod running;

use running::{Framework, Program, apportion, said, start};
use serde_json::{Value as Json, json};

/// A master with simulated agents.
struct Master {
    address: String,
    _program: Program,
}

impl Master {
    fn start(arguments: &[&str]) -> Self {
        let (program, address) =
            start(&[&["up", "--simulated", "--port=0", "--allocation_interval=50ms"], arguments].concat());
        Self { address, _program: program }
    }

    /// Runs a command that succeeds, and returns what it printed.
    fn done(&self, command: &str) -> String {
        let (status, out, error) = self.run(command);
        assert_eq!((status, error.as_str()), (Some(0), ""), "{command}");
        out
    }

    /// Runs a command that fails, and returns what it said on standard error, a line.
    fn failed(&self, command: &str) -> String {
        let (status, out, error) = self.run(command);
        assert_eq!((status, out.as_str(), error.lines().count()), (Some(1), "", 1), "{command}: {error}");
        error.trim_end().replace(&self.address, "MASTER")
    }

    fn run(&self, command: &str) -> (Option<i32>, String, String) {
        said(&command.split(' ').chain(["--master", &self.address]).collect::<Vec<_>>())
    }

    fn json(&self, command: &str) -> Json {
        serde_json::from_str(&self.done(command)).unwrap()
    }
}

#[test]
fn weights_are_set_and_shown() {
    let master = Master::start(&["--weights=ads=3"]);
    assert_eq!(master.done("weights"), "ROLE  WEIGHT\nads        3\n1 weight set; any other is 1\n");
    let set = master.done("weights set web=2,batch/night=0.5");
    assert_eq!(set, "the weight of web is 2\nthe weight of batch/night is 0.5\n");
    let shown = "ROLE         WEIGHT\nads               3\nbatch/night     0.5\nweb               2\n3 weights set; any other is 1\n";
    assert_eq!(master.done("weights show"), shown);
    let infos = &master.json("weights show --json")["get_weights"]["weight_infos"];
    assert_eq!(infos[2], json!({"role": "web", "weight": 2.0}));
    let (status, _, error) = master.run("weights set web=0");
    assert!(status == Some(1) && error.contains("0 is not a weight"), "{error}");
}

#[test]
fn quotas_are_set_shown_and_removed() {
    let master = Master::start(&[]);
    assert_eq!(master.done("quota"), "no quotas\n");
    assert_eq!(master.done("quota set web --guarantee cpus:4,mem:1024 --limit cpus:8"), "the quota of web is set\n");
    let shown = "\
ROLE  RESOURCE  GUARANTEE  LIMIT
web   cpus              4      8
web   mem            1024      -
1 quota
";
    assert_eq!(master.done("quota show --width 80"), shown);
    let config = json!({"role": "web", "guarantees": {"cpus": {"value": 4.0}, "mem": {"value": 1024.0}}, "limits": {"cpus": {"value": 8.0}}});
    assert_eq!(master.json("quota --json")["get_quota"]["status"]["configs"], json!([config]));
    assert_eq!(
        master.failed("quota set batch --guarantee cpus:9"),
        "the master at MASTER has answered UPDATE_QUOTA with 400: all guarantees together are cpus:13, more than the 12 of the cluster"
    );
    assert_eq!(master.done("quota set batch --guarantee cpus:9 --force"), "the quota of batch is set\n");
    assert_eq!(master.done("quota remove web"), "web has no quota\n");
    assert!(!master.done("quota").contains("web"));
    let (status, _, error) = master.run("quota set web");
    assert!(status == Some(1) && error.contains("--guarantee") && error.contains("--limit"), "{error}");
}

#[test]
fn roles_are_listed_with_what_they_hold() {
    let master = Master::start(&["--weights=ads=3"]);
    let mut framework = Framework::subscribe(&master.address, "web");
    framework.event_of("OFFERS");
    let shown = "\
ROLE  WEIGHT  FRAMEWORKS  CPUS    MEM    DISK
ads        3           0     0      0       0
web        1           1    12  24576  196608
2 roles
";
    assert_eq!(master.done("roles"), shown);
    let roles = master.json("roles --json");
    assert_eq!(roles["get_roles"]["roles"][1]["frameworks"], json!([{"value": framework.id}]));
}

#[test]
fn offers_are_listed_and_what_keeps_a_framework_from_more_is_explained() {
    let master = Master::start(&["--agents=2"]);
    assert_eq!(master.done("offers"), "no offers\n");
    assert_eq!(master.done("explain"), "no frameworks\n");
    let mut framework = Framework::subscribe(&master.address, "web");
    framework.event_of("OFFERS");
    let offers = master.done("offers --width 80");
    let lines: Vec<&str> = offers.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("RESOURCES"), "{offers}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80) && lines.last() == Some(&"2 offers"), "{offers}");
    assert!(lines[1].contains("agent-") && lines[1].contains(" web ") && lines[1].contains('…'), "{offers}");
    assert!(master.done("offers --agent agent-1").contains(&framework.id), "nothing is shortened in a pipe");
    assert_eq!(master.json("offers --json")["total"], 2);

    let explained = master.done(&format!("explain --framework {} --width 80", framework.id));
    let heading = format!("{} in role web:", framework.id);
    assert!(explained.starts_with(&heading) && explained.contains("  2 agents: nothing is available: "), "{explained}");
    assert!(explained.lines().all(|line| line.chars().count() <= 80), "{explained}");
    assert!(master.done("explain").ends_with("1 framework\n"));
    let of_agent = master.done("explain --agent agent-0");
    assert!(of_agent.starts_with(&format!("{} in role web on agent-0:", framework.id)), "{of_agent}");
    let reasons = &master.json(&format!("explain --json --framework {}", framework.id))["explanations"][0]["reasons"];
    assert_eq!(reasons[0]["kind"], "nothing_available");
    let error = master.failed("explain --framework nobody");
    assert!(
        error.starts_with("the master at MASTER has answered /apportion/explain?framework=nobody with 404: "),
        "{error}"
    );
}

#[test]
fn agents_frameworks_and_tasks_are_listed() {
    let master = Master::start(&["--agents=2", "--resources=cpus:4;mem:1024;gpus:1", "--no-filter_gpu_resources"]);
    let agents = master.done("agents --width 80");
    let expected = "\
ID       HOST       STATE   CPUS    MEM  GPUS  ATTRIBUTES
agent-0  127.0.0.2  active   0/4  0/1024   0/1  rack=r1
agent-1  127.0.0.3  active   0/4  0/1024   0/1  rack=r2
2 agents
";
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&agents), words(expected), "{agents}");
    assert_eq!(master.done("tasks"), "no tasks\n");
    assert_eq!(master.done("frameworks"), "no frameworks\n");

    let mut framework = Framework::subscribe(&master.address, "web");
    let offers = framework.event_of("OFFERS");
    framework.launch(&offers, "runs", "sleep 1000");
    framework.event_of("UPDATE");
    let agent = offers["offers"]["offers"][0]["agent_id"]["value"].as_str().unwrap();
    let id = &framework.id;
    let tasks = master.done("tasks");
    let expected = format!("ID FRAMEWORK AGENT STATE CPUS MEM runs {id} {agent} running 1 32 1 task");
    assert_eq!(words(&tasks), words(&expected), "{tasks}");
    let narrow = master.done("tasks --width 60");
    assert!(narrow.lines().all(|line| line.chars().count() <= 60) && narrow.contains('…'), "{narrow}");
    assert!(
        narrow.lines().nth(1).unwrap().contains(&id[id.len() - 4..]),
        "the end of an id tells it from others: {narrow}"
    );
    let frameworks = master.done("frameworks");
    assert!(words(&frameworks).starts_with(&words("ID NAME ROLES STATE CPUS MEM OFFERS")), "{frameworks}");
    assert!(words(&frameworks).join(" ").contains(&format!("{id} web web active 1 32 ")), "{frameworks}");
    assert!(frameworks.ends_with("\n1 framework\n"), "{frameworks}");
    assert!(words(&master.done("agents")).join(" ").contains(" 1/4 32/1024 0/1 "));

    let other = master.done("tasks --framework nobody");
    assert_eq!(other, "no tasks\n");
    assert!(master.done(&format!("tasks --framework {id} --agent {agent}")).ends_with("\n1 task\n"));
    let json = master.json("tasks --json");
    assert_eq!(json["get_tasks"]["tasks"][0]["task_id"], json!({"value": "runs"}));
    assert_eq!(master.json("agents --json")["type"], "GET_AGENTS");
    assert_eq!(master.json("frameworks --json")["get_frameworks"]["frameworks"][0]["framework_info"]["name"], "web");

    master.done("deactivate agent-1");
    assert!(master.done("agents").contains("deactivated"));
    assert!(master.done("agents").ends_with("2 agents, of which 1 active\n"));
    master.done(&format!("teardown {id}"));
    while framework.event().is_some() {}
    assert_eq!(master.done("frameworks"), "no frameworks; 1 completed, which --all shows\n");
    assert!(master.done("frameworks --all").contains(" completed "));
    assert!(master.done("tasks").starts_with("no tasks; 1 ended or unreachable"));
    assert!(master.done("tasks --all").contains(" killed "));
}

#[test]
fn agents_are_drained_taken_out_and_brought_back() {
    let master = Master::start(&[]);
    let mut framework = Framework::subscribe(&master.address, "web");
    let offers = framework.event_of("OFFERS");
    let agent = offers["offers"]["offers"][0]["agent_id"]["value"].as_str().unwrap().to_owned();
    framework.launch(&offers, "t", "sleep 1000");
    framework.event_of("UPDATE");
    let drained = master.done(&format!("drain {agent} --grace 10mins --mark-gone"));
    assert_eq!(drained, format!("{agent} is being drained, and gone after that\n"));
    assert_eq!(framework.event_of("UPDATE")["update"]["status"]["state"], "TASK_KILLED");
    assert_eq!(master.done("deactivate agent-1"), "agent-1 is not offered any more\n");
    assert_eq!(master.done("reactivate agent-1"), "agent-1 is offered again\n");
    assert_eq!(master.done("gone agent-1"), "agent-1 is gone for good\n");
    assert_eq!(
        master.failed("gone nobody"),
        "the master at MASTER has answered MARK_AGENT_GONE with 404: no agent nobody"
    );
    assert_eq!(
        master.failed("drain nobody"),
        "the master at MASTER has answered DRAIN_AGENT with 400: no agent nobody"
    );
}

#[test]
fn resources_are_reserved_and_unreserved() {
    let master = Master::start(&[]);
    let done = master.done("reserve agent-1 --role web cpus:1.5 mem:512 ports:[31000-31009]");
    assert_eq!(done, "cpus:1.5;mem:512;ports:[31000-31009] of agent-1 is reserved for web\n");
    assert!(master.failed("reserve agent-1 --role web cpus:3").contains("has answered RESERVE_RESOURCES with 409: "));
    assert!(master.failed("reserve nobody --role web cpus:3").contains(" with 400: "));
    assert!(master.failed("reserve agent-1 --role web cpus(ads):3").contains("without a reservation"));
    let other = master.failed("unreserve agent-1 --role web cpus:1 --by ops");
    assert!(other.contains(" with 409: "), "a reservation of nobody: {other}");
    let done = master.done("unreserve agent-1 --role web cpus:1");
    assert_eq!(done, "cpus:1 of agent-1 is not reserved for web any more\n");
    assert!(master.failed("unreserve agent-1 --role web cpus:1").contains(" with 409: "), "0.5 is left");
    master.done("reserve agent-0 --role web cpus:1 --by ops");
    master.done("unreserve agent-0 --role web cpus:1 --by ops");
}

#[test]
fn machines_are_maintained() {
    let master = Master::start(&[]);
    assert_eq!(master.done("maintenance"), "no scheduled machines\n");
    let host = "127.0.0.3"; // that of agent-1
    master.done(&format!("maintenance schedule {host} --in 3hrs --duration 2hrs"));
    assert_eq!(
        master.done(&format!("maintenance schedule {host} other=10.0.0.9 --in 30mins")),
        "2 machines scheduled\n"
    );
    let shown = master.done("maintenance show --width 80");
    let expected = "\
MACHINE    ADDRESS   STATE      START     LENGTH  FRAMEWORKS
127.0.0.3  -         scheduled  in 30min  open    -
other      10.0.0.9  scheduled  in 30min  open    -
2 scheduled machines
";
    assert_eq!(shown, expected, "in place of the first window");
    let json = master.done("maintenance show --json");
    let answers: Vec<Json> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0]["get_maintenance_schedule"]["schedule"]["windows"][0]["machine_ids"][1]["ip"], "10.0.0.9");
    assert_eq!(answers[1]["type"], "GET_MAINTENANCE_STATUS");

    assert_eq!(master.done(&format!("maintenance start {host}")), "1 machine down for maintenance\n");
    assert!(master.done("maintenance").contains(" down "));
    assert!(master.failed("deactivate agent-1").contains(" with 400: "), "its agent is removed");
    assert_eq!(master.done(&format!("maintenance stop {host}")), "1 machine up again\n");
    assert_eq!(master.done("maintenance cancel other"), "1 machine not scheduled any more\n");
    assert_eq!(master.failed("maintenance cancel other"), "other is not scheduled for maintenance");
    assert!(master.failed("maintenance start other").contains("has answered START_MAINTENANCE with 400: "));
}

#[test]
fn a_framework_is_removed() {
    let master = Master::start(&[]);
    let mut framework = Framework::subscribe(&master.address, "web");
    let id = framework.id.clone();
    assert_eq!(master.done(&format!("teardown {id}")), format!("{id} is removed\n"));
    while framework.event().is_some() {}
    let again = master.failed(&format!("teardown {id}"));
    assert_eq!(again, format!("the master at MASTER has answered TEARDOWN with 400: no framework {id}"));
}

#[test]
fn operators_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let credentials = file("credentials", r#"{"credentials":[{"principal":"ops","secret":"s3cret"}]}"#);
    let (secret, wrong) = (file("secret", "s3cret\n"), file("wrong", "other"));
    let master = Master::start(&["--credentials", &credentials, "--authenticate_http_readwrite"]);
    assert!(master.failed("roles").contains("has answered GET_ROLES with 401: "));
    assert!(master.failed(&format!("roles --principal ops --secret-file {wrong}")).contains(" with 401: "));
    assert_eq!(master.done(&format!("roles --principal ops --secret_file={secret}")), "no roles\n");
    let mut command = apportion(&["roles"]);
    command.env("APPORTION_MASTER", format!("http://{}/", master.address));
    command.env("APPORTION_PRINCIPAL", "ops").env("APPORTION_SECRET_FILE", &secret);
    assert_eq!(command.output().unwrap().stdout, b"no roles\n");
    assert_eq!(master.failed("roles --principal ops"), "--principal: expected --secret-file, too");
    assert!(master.failed("roles --principal ops --secret-file no/such/file").starts_with("no/such/file: "));
}

#[test]
fn a_master_that_is_not_there_is_said() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (status, out, error) = said(&["roles", "--master", &free]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(error.starts_with(&format!("the master at {free} cannot be reached: ")), "{error}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (status, _, error) = said(&["weights", "set", "a=1", "--master", &address, "--timeout=50ms"]);
    assert_eq!(
        (status, error),
        (Some(1), format!("the master at {address} has not answered UPDATE_WEIGHTS within 50ms\n"))
    );
}
