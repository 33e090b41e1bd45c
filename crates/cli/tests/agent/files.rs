//! What an agent shows: files of sandboxes, what was fetched, its endpoints.

use crate::rig::{Rig, command};
use crate::wire::{ask, get};
use serde_json::json;

#[tokio::test]
async fn a_file_is_fetched_or_its_absence_is_told() {
    let mut rig = Rig::start(false, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.txt"), "fetched").unwrap();
    let path = folder.path().join("data.txt").display().to_string();
    let mut task = command("good", "cat data.txt");
    task["command"]["uris"] = json!([{"value": path}]);
    rig.launch(task).await;
    rig.status_of("TASK_FINISHED").await;
    let framework = rig.framework.id.clone();
    assert_eq!(rig.file(&framework, "good", "stdout").await, "fetched");

    let mut task = command("bad", "true");
    task["command"]["uris"] = json!([{"value": format!("{path}.missing")}]);
    rig.launch(task).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{failed}");
    assert!(failed["message"].as_str().unwrap().contains(&format!("{path}.missing")), "{failed}");
    assert!(rig.file(&framework, "bad", "stderr").await.contains(".missing"), "its owner reads why");
}

#[tokio::test]
async fn a_sandbox_is_browsed_read_and_downloaded_and_nothing_else_is() {
    let mut rig = Rig::start(false, &[]).await;
    let script = "echo hello; ln -s /etc/passwd evil; mkfifo pipe; mkdir folder; echo 1 > folder/file";
    rig.launch(command("t", script)).await;
    rig.status_of("TASK_FINISHED").await;
    let ended = rig.completed(1).await;
    let directory = ended[0]["directory"].as_str().unwrap();
    let browsed = rig.ask(&format!("/files/browse.json?path={directory}")).await;
    let names: Vec<&str> = browsed.as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    let expected = ["evil", "folder", "pipe", "stderr", "stdout"].map(|name| format!("{directory}/{name}"));
    assert_eq!(names, expected);
    assert_eq!((&browsed[4]["size"], &browsed[4]["mode"]), (&json!(6), &json!("-rw-r--r--")));
    let read = |offset: &str| format!("/slave(1)/files/read.json?path={directory}/stdout&offset={offset}&length=-1");
    assert_eq!(rig.ask(&read("2")).await, json!({"data": "llo\n", "offset": 2}));
    assert_eq!(rig.ask(&read("-1")).await, json!({"data": "", "offset": 6}));
    assert_eq!(get(rig.agent.address, &format!("/files/download?path={directory}/folder/file")).await.text(), "1\n");
    let work_dir = rig.work_dir();
    for (path, status) in [
        (format!("{directory}/evil"), 404),
        (format!("{directory}/pipe"), 400),
        (format!("{directory}/folder"), 400),
        (format!("{directory}/../../../../../../../../../meta/slaves/latest/slave.info"), 404),
        (format!("{}/meta", work_dir.display()), 404),
        ("/etc/passwd".to_owned(), 404),
    ] {
        let answer = get(rig.agent.address, &format!("/files/read?path={path}&offset=0")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn all_endpoints_answer() {
    let mut rig = Rig::start(false, &[]).await;
    rig.launch(command("t", "exec sleep 1000")).await;
    rig.status_of("TASK_RUNNING").await;
    let agent = rig.agent.address;
    assert_eq!(get(agent, "/health").await.status, 200);
    assert_eq!(get(agent, "/slave(1)/health").await.status, 200);
    assert_eq!(rig.ask("/version").await["version"], "1.11.0");
    assert_eq!(rig.ask("/flags").await["flags"]["attributes"], "rack:r1");
    let statistics = rig.ask("/monitor/statistics.json").await;
    assert_eq!((&statistics[0]["executor_id"], &statistics[0]["source"]), (&json!("t"), &json!("t")), "{statistics}");
    let figures = &statistics[0]["statistics"];
    assert!(figures["cpus_limit"].as_f64().unwrap() >= 0.1 && figures["cpus_limit"].is_f64(), "{figures}");
    assert!(figures["mem_limit_bytes"].as_u64().unwrap() >= 32 << 20 && figures["mem_rss_bytes"].is_u64(), "{figures}");
    assert!(rig.ask("/containers").await[0]["status"]["container_id"]["value"].is_string());
    let state = rig.ask("/state").await;
    assert_eq!(state["attributes"], json!({"rack": "r1"}));
    assert_eq!(state["resources"]["cpus"], json!(4.0));
    assert_eq!(state["pid"], format!("slave(1)@{agent}"));
    assert_eq!(state["master_hostname"], "127.0.0.1");
    for key in ["hostname", "start_time", "flags", "completed_frameworks", "reserved_resources", "unreserved_resources"]
    {
        assert!(!state[key].is_null(), "{key}");
    }
    let executor = &state["frameworks"][0]["executors"][0];
    for key in
        ["id", "name", "source", "container", "directory", "resources", "tasks", "queued_tasks", "completed_tasks"]
    {
        assert!(!executor[key].is_null(), "{key}: {executor}");
    }
    for (kind, pointer) in [
        ("GET_HEALTH", "/get_health/healthy"),
        ("GET_VERSION", "/get_version/version_info/version"),
        ("GET_FLAGS", "/get_flags/flags/0/name"),
        ("GET_METRICS", "/get_metrics/metrics/0/name"),
        ("GET_STATE", "/get_state/get_tasks/launched_tasks/0/task_id/value"),
        ("GET_AGENT", "/get_agent/agent_info/hostname"),
        ("GET_TASKS", "/get_tasks/launched_tasks/0/agent_id/value"),
        ("GET_EXECUTORS", "/get_executors/executors/0/executor_info/executor_id/value"),
        ("GET_FRAMEWORKS", "/get_frameworks/frameworks/0/framework_info/id/value"),
        ("GET_CONTAINERS", "/get_containers/containers/0/resource_statistics/timestamp"),
    ] {
        let (status, answer) = ask(agent, json!({ "type": kind })).await;
        assert_eq!((status, &answer["type"]), (200, &json!(kind)), "{answer}");
        assert!(answer.pointer(pointer).is_some_and(|value| !value.is_null()), "{pointer}: {answer}");
    }
    let path = executor["directory"].as_str().unwrap();
    let (status, files) = ask(agent, json!({"type": "LIST_FILES", "list_files": {"path": path}})).await;
    assert_eq!((status, files["list_files"]["file_infos"].as_array().map(Vec::len)), (200, Some(2)), "{files}");
    let read = json!({"type": "READ_FILE", "read_file": {"path": format!("{path}/stdout"), "offset": 0}});
    assert_eq!(ask(agent, read).await.0, 200);
    assert_eq!(ask(agent, json!({"type": "SET_LOGGING_LEVEL"})).await.0, 501);
}

/// The names of field-wire.md that an agent has from its first answer on.
#[tokio::test]
async fn all_metrics_are_there_from_the_first_answer_on() {
    let rig = Rig::start(false, &[]).await;
    let metrics = rig.ask("/metrics/snapshot?timeout=10secs").await;
    let mut expected: Vec<String> = Vec::new();
    let slave = "registered uptime_secs recovery_errors recovery_time_secs frameworks_active container_launch_errors \
                 executor_directory_max_allowed_age_secs executors_registering executors_running executors_terminating \
                 executors_terminated executors_preempted tasks_staging tasks_starting tasks_running tasks_killing \
                 tasks_finished tasks_failed tasks_killed tasks_lost tasks_error tasks_gone valid_status_updates \
                 invalid_status_updates valid_framework_messages invalid_framework_messages";
    expected.extend(slave.split_whitespace().map(|name| format!("slave/{name}")));
    for resource in ["cpus", "mem", "disk", "gpus"] {
        for infix in ["", "revocable_"] {
            expected.extend(["total", "used", "percent"].map(|name| format!("slave/{resource}_{infix}{name}")));
        }
    }
    let others = "gc/path_removals_pending gc/path_removals_succeeded gc/path_removals_failed \
                  containerizer/fetcher/cache_size_total_bytes containerizer/fetcher/cache_size_used_bytes \
                  containerizer/fetcher/task_fetches_succeeded containerizer/fetcher/task_fetches_failed \
                  containerizer/mesos/container_destroy_errors containerizer/mesos/provisioner/remove_container_errors \
                  containerizer/mesos/provisioner/bind/remove_rootfs_errors \
                  containerizer/mesos/filesystem/containers_new_rootfs containerizer/mesos/disk/project_ids_free \
                  containerizer/mesos/disk/project_ids_total system/cpus_total system/load_1min system/mem_total_bytes";
    expected.extend(others.split_whitespace().map(str::to_owned));
    for name in expected {
        assert!(metrics[&name].is_number(), "{name} is not in {metrics}");
    }
    assert_eq!(get(rig.agent.address, "/metrics/snapshot?timeout=soon").await.status, 400);
}

#[tokio::test]
async fn a_page_of_another_host_changes_nothing() {
    let rig = Rig::start(false, &[]).await;
    let mut client = crate::wire::Client::connect(rig.agent.address).await;
    let body = r#"{"type":"GET_HEALTH"}"#;
    client
        .send(format!(
            "POST /api/v1 HTTP/1.1\r\nHost: m\r\nOrigin: http://evil.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 403);
    let page = get(rig.agent.address, "/").await;
    assert!(page.status == 200 && page.text().contains("page/agent.js"), "{page:?}");
    for file in ["page/agent.js", "page/files.js", "page/plots.js", "page/agent.css", "page/dom.js", "page/style.css"] {
        assert_eq!(get(rig.agent.address, &format!("/{file}")).await.status, 200, "{file}");
    }
}
