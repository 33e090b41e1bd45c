use super::*;
use apportion::allocator::Weight;
use apportion::{Agent, Command, Config, Framework, Master, Registration, RunningTask, Task};
use http::Uri;

fn image() -> Image {
    let mut master = Master::new(Config::default());
    let role: Role = "eng/web".parse().unwrap();
    let quota = Quota::default().guarantee("cpus", Scalar::units(6)).limit("cpus", Scalar::units(7));
    let mut framework = Framework::new("f1").role(role.clone()).role("ops".parse().unwrap());
    framework.name = Some("first".into());
    for command in [
        Command::AddFramework(framework),
        Command::SetQuota(role.clone(), quota),
        Command::SetWeight("ops".parse().unwrap(), Weight::try_from_f64(2.5).unwrap()),
    ] {
        master.handle(Time::ZERO, command).unwrap();
    }
    for number in 1..=3 {
        let task = Task::new(format!("t{number}"), "cpus:1;mem:64".parse().unwrap());
        let agent = Agent::new(format!("a{number}"), "cpus:2;mem:1024;ports:[1-9]".parse().unwrap());
        let agent = Registration::from(agent.hostname(format!("Host-{number}")).attribute("rack", "r1"));
        let agent = agent.task(RunningTask::new("f1", role.clone(), task));
        master.handle(Time::from_secs(1), Command::AddAgent(agent)).unwrap();
    }
    master.advance(Time::from_millis(4_500)).unwrap();
    master.into()
}

fn ask(table: Table, query: &str) -> Json {
    let uri: Uri = format!("/apportion/x?{query}").parse().unwrap();
    table.rows(&image(), &Wanted::read(&Query::of(&uri)).unwrap())
}

fn ids(answer: &Json) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn agents_tell_who_holds_what() {
    let all = ask(Table::Agents, "");
    assert_eq!((ids(&all), &all["total"], &all["at"]), (vec!["a1", "a2", "a3"], &json!(3), &json!(4.5)));
    let agent = &all["items"][0];
    assert_eq!(agent["total"], json!("cpus:2;mem:1024;ports:[1-9]"));
    assert_eq!(agent["amounts"]["total"], json!({"cpus": 2, "mem": 1024}));
    assert_eq!((&agent["hostname"], &agent["active"]), (&json!("Host-1"), &json!(true)));
    let web = json!({"framework": "f1", "name": "first", "role": "eng/web", "offers": 1, "tasks": 1,
        "offered": {"cpus": 1, "mem": 960}, "allocated": {"cpus": 1, "mem": 64}});
    assert_eq!(agent["held"], json!([web]));
}

#[test]
fn a_list_is_told_in_pages_and_searched() {
    assert_eq!(ids(&ask(Table::Agents, "search=hoST-2")), ["a2"]);
    assert_eq!(ids(&ask(Table::Agents, "agent=a3")), ["a3"]);
    let page = ask(Table::Tasks, "offset=1&limit=1");
    assert_eq!((ids(&page), &page["total"], &page["offset"]), (vec!["t2"], &json!(3), &json!(1)));
    assert_eq!(ids(&ask(Table::Tasks, "limit=2&order=desc")), ["t3", "t2"]);
    assert_eq!(ids(&ask(Table::Tasks, "framework=f1&agent=a2&role=eng/web&search=host")), ["t2"]);
    assert_eq!(ask(Table::Tasks, "role=ops")["total"], 0);
    assert_eq!(ids(&ask(Table::Frameworks, "search=eng&role=ops")), ["f1"]);
    assert_eq!(ids(&ask(Table::Tasks, "offset=18446744073709551615")), Vec::<&str>::new());
    for wrong in ["limit=1001", "limit=-1", "offset=x", "limit=1.5"] {
        let uri: Uri = format!("/x?{wrong}").parse().unwrap();
        assert_eq!(Wanted::read(&Query::of(&uri)).unwrap_err().status(), 400, "{wrong}");
    }
}

#[test]
fn offers_have_an_age_and_tasks_a_state() {
    let offers = ask(Table::Offers, "");
    let ages: Vec<&Json> = offers["items"].as_array().unwrap().iter().map(|offer| &offer["age"]).collect();
    assert_eq!(ages, [&json!(3.5), &json!(3.5), &json!(3.5)]);
    assert_eq!(offers["items"][0]["made_at"], 1);
    let task = &ask(Table::Tasks, "limit=1")["items"][0];
    let expected = json!({"id": "t1", "state": "TASK_RUNNING", "framework": "f1", "framework_name": "first",
        "role": "eng/web", "agent": "a1", "hostname": "Host-1", "resources": "cpus:1;mem:64"});
    assert_eq!(*task, expected);
}

#[test]
fn roles_tell_what_quota_leaves() {
    let roles = ask(Table::Roles, "");
    let paths: Vec<&Json> = roles["items"].as_array().unwrap().iter().map(|role| &role["role"]).collect();
    assert_eq!(paths, ["eng", "eng/web", "ops"]);
    let web = &roles["items"][1];
    assert_eq!(web["quota"], json!({"guarantees": {"cpus": 6}, "limits": {"cpus": 7}}));
    assert_eq!((&web["consumed"]["cpus"], &web["left"]), (&json!(6), &json!({"cpus": 1})));
    assert_eq!((&web["frameworks"], &web["share"]), (&json!(["f1"]), &json!(1.0)));
    assert_eq!(roles["items"][2]["weight"], 2.5);
    let summary = summary(&image(), json!({"id": "m"}));
    assert_eq!((&summary["agents"], &summary["tasks"], &summary["offers"]), (&json!(3), &json!(3), &json!(3)));
    assert_eq!((&summary["total"], &summary["allocated"]["cpus"]), (&json!({"cpus": 6, "mem": 3072}), &json!(3)));
}
