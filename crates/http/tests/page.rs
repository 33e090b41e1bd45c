//! The page at `/`, in a real browser. Without one these tests say so, and are skipped.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod browser;
mod wire;

use apportion::{Agent, Command, FrameworkId, Registration, RunningTask, Task, TaskState, TaskStatus};
use apportion_http::{Server, Settings};
use browser::Browser;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use wire::{Subscribed, start, subscribed};

/// An id that is a script if it is taken for HTML.
const HOSTILE: &str = "<img src=x onerror=document.title='taken'>&amp;'\"";

/// Waits for offers.
async fn offers(framework: &mut Subscribed) -> Json {
    timeout(Duration::from_secs(30), framework.stream.event_of("OFFERS")).await.expect("offers come")
}

/// Starts a task of half a CPU and 512 MB, and refuses the rest for ten minutes.
async fn launch(address: SocketAddr, framework: &mut Subscribed, id: &str) {
    let offers = offers(framework).await;
    let offer = &offers["offers"]["offers"][0];
    let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
    let task = json!({"name": id, "task_id": {"value": id}, "agent_id": offer["agent_id"], "command": {"value": "sleep 9"},
        "resources": [scalar("cpus", 0.5), scalar("mem", 512.0)]});
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 600.0},
        "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}]}});
    let answer = framework.call(address, accept).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
}

async fn running(server: &Server, framework: &str, task: &str) {
    let mut status = TaskStatus::new(task, TaskState::Running);
    status.agent = Some("a1".into());
    server.command(Command::TaskStatus(FrameworkId::from(framework), status)).await.unwrap();
}

#[tokio::test]
async fn a_framework_is_followed_explained_and_tried() {
    let Some(browser) = Browser::start().await else { return };
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    launch(address, &mut framework, HOSTILE).await;

    // From the list of frameworks to the one, and its tasks.
    browser.load(&format!("http://{address}/#/frameworks")).await;
    browser.until("document.querySelector('tbody tr a.button')").await;
    browser.run("window.stays = true; document.querySelector('tbody tr a.button').click()").await;
    let row = browser.until("document.querySelector('.tasks tbody tr')?.innerText").await;
    assert!(row.as_str().unwrap().contains(HOSTILE), "an id is text: {row}");
    assert!(row.as_str().unwrap().contains("512 MB memory"), "{row}");
    assert_eq!(browser.run("return document.querySelectorAll('main img').length").await, 0);
    assert_eq!(browser.run("return document.title").await, "Framework · apportion");

    // Why it is not offered more, in the words of the core.
    let reason = browser.until("document.querySelector('.reasons [data-kind=filtered] .reason-text')?.innerText").await;
    assert!(reason.as_str().unwrap().starts_with("the framework refused 3.5 CPUs, 512 MB memory"), "{reason}");

    // What if there were an agent more.
    browser.run("document.querySelector('#what-if [value=agent]').click(); document.querySelector('#what-if .primary').click()").await;
    let gained = browser.until("document.querySelector('#what-if .result .tag.good')?.innerText").await;
    assert_eq!(gained, "+4 CPUs");
    // A limit of nothing for its role is what would decide then.
    browser
        .run(
            "document.querySelector('#what-if [value=quota]').click();
        document.querySelectorAll('[name^=limit]').forEach((input) => { input.value = '0'; });
        document.querySelector('#what-if .primary').click()",
        )
        .await;
    browser.until("document.querySelector('#what-if .result [data-kind=quota_limit]')").await;
    let state = server.query(|master| master.state()).await.unwrap();
    assert_eq!((state.agents.len(), state.roles[0].quota.is_empty()), (1, true), "nothing has changed");

    // What happens is seen without loading the page again.
    running(&server, &framework.id, HOSTILE).await;
    browser.until("document.querySelector('.tasks tbody .tag.good')?.innerText === 'running'").await;
    browser.run("location.hash = '#/events'").await;
    let event = browser.until("document.querySelector('.events [data-kind=status]')?.innerText").await;
    assert!(event.as_str().unwrap().contains(&format!("{HOSTILE} of {} is running", framework.id)), "{event}");
    assert_eq!(browser.run("return window.stays && document.querySelectorAll('main img').length").await, 0);
}

/// Returns all that the tabulator should stop at, by what is written on it.
const STOPS: &str = "
    const name = (element) => `${element.tagName} ${element.name ?? ''} ${element.getAttribute('aria-label') ?? element.innerText}`;
    const all = [...document.querySelectorAll('a[href], button:not(:disabled), input, [tabindex=\"0\"]')];
    const seen = all.filter((element) => element.checkVisibility() && (element.type !== 'radio' || element.checked));";

#[tokio::test]
async fn the_page_fits_phones_both_themes_and_a_keyboard() {
    let Some(browser) = Browser::start().await else { return };
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    launch(
        address,
        &mut framework,
        "a-long-id-of-a-task-without-any-place-to-break-it-0123456789-0123456789-0123456789",
    )
    .await;
    let other = Agent::new("another-agent", "cpus(web):64;mem:262144;disk:1048576".parse().unwrap());
    server.command(Command::AddAgent(other.into())).await.unwrap();
    offers(&mut framework).await;
    let this = format!("framework/{}", framework.id);
    let views = ["overview", "agents", "frameworks", "roles", "tasks", "offers", "events", &this];

    // Both themes: of the system, and of the switch, which wins and is kept.
    browser.load(&format!("http://{address}/")).await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let scheme = |scheme: &str| json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    browser.emulate("setEmulatedMedia", scheme("light")).await;
    let light = browser.run(ground).await;
    browser.emulate("setEmulatedMedia", scheme("dark")).await;
    let dark = browser.run(ground).await;
    assert_ne!(light, dark);
    browser.until("document.getElementById('theme').innerText === 'Theme: auto'").await;
    browser.run("document.getElementById('theme').click()").await;
    assert_eq!(browser.run(ground).await, light);
    browser.reload().await;
    browser.until("document.getElementById('theme').innerText === 'Theme: light'").await;
    browser.run("document.getElementById('theme').click()").await;
    assert_eq!(browser.run(ground).await, dark);

    // A phone: nothing is wider than its screen.
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true});
    browser.emulate("setDeviceMetricsOverride", phone).await;
    for view in views {
        browser.run(&format!("location.hash = '#/{view}'")).await;
        let ready = format!(
            "location.hash === '#/{view}' && document.querySelector('nav [aria-current]') && (document.querySelector('main tbody tr, main .meter, main .log') ?? 0)"
        );
        browser.until(&ready).await;
        let widths = browser.run("return [innerWidth, document.documentElement.scrollWidth]").await;
        assert_eq!(widths, json!([360, 360]), "{view}");
    }

    // The keyboard reaches all there is, and one sees where it is.
    browser.until("document.querySelector('.reasons li') && document.querySelector('#what-if .primary')").await;
    let expected = browser.run(&format!("{STOPS} document.activeElement.blur(); return seen.map(name)")).await;
    let expected: Vec<Json> = expected.as_array().unwrap().clone();
    assert!(expected.len() > 20, "{expected:?}");
    let mut reached = Vec::new();
    for _ in 0..2 * expected.len() {
        browser.press('\u{E004}').await;
        let stop = format!(
            "{STOPS} const at = document.activeElement; return at === document.body ? null : [name(at), getComputedStyle(at).outlineStyle, at.closest('.skip') !== null]"
        );
        let stop = browser.run(&stop).await;
        if stop.is_null() {
            continue; // the window itself
        }
        assert!(stop[1] != "none", "it is not seen that {} has the focus", stop[0]);
        reached.push(stop[0].clone());
    }
    for stop in expected {
        assert!(reached.contains(&stop), "{stop} is not reached: {reached:?}");
    }
}

#[tokio::test]
async fn long_lists_are_shown_in_pages_and_searched() {
    let Some(browser) = Browser::start().await else { return };
    let (server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 100.0).await;
    let role: apportion::Role = "web".parse().unwrap();
    for number in 0..1000 {
        let agent = Agent::new(format!("agent-{number}"), "cpus:16;mem:16384".parse().unwrap());
        let tasks = (0..10).map(|task| Task::new(format!("task-{number}-{task}"), "cpus:1;mem:1024".parse().unwrap()));
        let tasks = tasks.map(|task| RunningTask::new(framework.id.as_str(), role.clone(), task));
        let agent = tasks.fold(Registration::from(agent), Registration::task);
        server.command(Command::AddAgent(agent)).await.unwrap();
    }
    browser.load(&format!("http://{address}/#/tasks")).await;
    browser.until("document.querySelector('.bar-tools [role=status]').innerText === '1–100 of 10,000'").await;
    assert_eq!(browser.run("return document.querySelectorAll('tbody tr').length").await, 100);
    assert_eq!(browser.run("return document.querySelector('tbody tr code').innerText").await, "task-999-9");
    browser.run("[...document.querySelectorAll('button')].find((button) => button.innerText === 'Next').click()").await;
    browser.until("document.querySelector('.bar-tools [role=status]').innerText === '101–200 of 10,000'").await;
    browser.run("const search = document.querySelector('[type=search]'); search.value = 'TASK-77-'; search.dispatchEvent(new Event('input'))").await;
    browser.until("document.querySelector('.bar-tools [role=status]').innerText === '10 in all'").await;
    browser.run("location.hash = '#/agents'").await;
    browser.until("document.querySelector('.bar-tools [role=status]').innerText === '1–100 of 1,001'").await;
    let held = browser.run("return document.querySelectorAll('tbody tr')[1].innerText").await;
    assert!(
        held.as_str().unwrap().contains("16 of 16 CPUs") && held.as_str().unwrap().contains("10 tasks, 1 offer"),
        "{held}"
    );
}

#[tokio::test]
async fn amounts_and_sentences_are_written_for_people() {
    let Some(browser) = Browser::start().await else { return };
    let (_server, address) = start(Settings::default()).await;
    browser.load(&format!("http://{address}/")).await;
    for (call, expected) in [
        ("amount('mem', 1536)", "1.5 GB"),
        ("amount('mem', 512)", "512 MB"),
        ("amount('disk', 3 * 1024 * 1024)", "3 TB"),
        ("amount('cpus', 0.125)", "0.13"),
        ("amounts({mem: 2048, gpus: 1, cpus: 4, zeal: 0})", "4 CPUs, 2 GB memory, 1 GPU"),
        ("amounts({})", "nothing"),
        ("resources('cpus(a/b):2;ports:[1-5,8-9]')", "2 CPUs for a/b, ports [1-5, 8-9]"),
        (
            "resources([{name: 'disk', scalar: {value: 8}, reservations: [{role: 'a'}], disk: {persistence: {id: 'v'}}}])",
            "8 MB disk for a, volume v",
        ),
        (
            "sentence('cpus:0.5;mem:64 is available, the minimum is mem:1536')",
            "0.5 CPUs, 64 MB memory is available, the minimum is 1.5 GB memory",
        ),
        (
            "sentence('the limit of a/b is 2048 mem, of which it has consumed 512')",
            "the limit of a/b is 2 GB memory, of which it has consumed 512 MB",
        ),
        (
            "sentence('a has a share of 0.5, the other role one of 0.25')",
            "a has a share of 50%, the other role one of 25%",
        ),
        ("span(3.21)", "3.2 s"),
        ("span(5400)", "90 min"),
        ("state('TASK_GONE_BY_OPERATOR')", "gone by operator"),
        ("plural(1, 'task')", "1 task"),
        ("plural(12345, 'task')", "12,345 tasks"),
    ] {
        let found = browser.run(&format!("return import('/page/format.js').then((format) => format.{call})")).await;
        assert_eq!(found, expected, "{call}");
    }
}
