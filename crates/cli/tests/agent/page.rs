//! The page of an agent, in a real browser. Without one this test says so, and is skipped.

use crate::browser::Browser;
use crate::rig::{Rig, command};
use serde_json::json;

/// A name that is a script if it is taken for HTML.
const HOSTILE: &str = "<img src=x onerror=document.title='taken'>";

#[tokio::test]
async fn executors_tasks_plots_and_files_are_shown_as_they_change() {
    let Some(browser) = Browser::start().await else { return };
    let mut rig = Rig::start(false, &[]).await;
    let script = "echo first; until [ -e go ]; do sleep 0.05; done; echo second; exec sleep 1000";
    let mut task = command("web", script);
    task["name"] = HOSTILE.into();
    rig.launch(task).await;
    rig.status_of("TASK_RUNNING").await;

    browser.load(&format!("http://{}/", rig.agent.address)).await;
    let row = browser.until("document.querySelector('tbody tr')?.innerText").await;
    let row = row.as_str().unwrap();
    assert!(row.contains("web") && row.contains("running") && row.contains(HOSTILE), "{row}");
    assert_eq!(browser.run("return document.querySelectorAll('main img').length").await, 0, "a name is text");
    browser.until("document.querySelectorAll('tbody .meter svg polyline').length === 2").await;
    let labels =
        "return [...document.querySelectorAll('tbody .meter svg')].map(plot => plot.getAttribute('aria-label'))";
    let labels = browser.run(labels).await;
    assert!(labels[0].as_str().unwrap().contains("CPU") && labels[1].as_str().unwrap().contains("memory"), "{labels}");

    // The output, as it grows.
    browser.run("[...document.querySelectorAll('tbody a')].find(link => link.innerText === 'stdout').click()").await;
    browser.until("document.querySelector('pre.log')?.textContent === 'first\\n'").await;
    let state = rig.ask("/state").await;
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
    std::fs::write(format!("{directory}/go"), "").unwrap();
    browser.until("document.querySelector('pre.log').textContent === 'first\\nsecond\\n'").await;

    // The folder that it is in.
    browser.run("document.querySelector('main p.id a').click()").await;
    let names = "[...document.querySelectorAll('tbody td:first-child')].map(cell => cell.innerText).join(' ')";
    browser.until(&format!("{names} === 'go stderr stdout'")).await;

    rig.kill("web", Some(0)).await;
    rig.status_of("TASK_KILLED").await;
    browser.run("location.hash = '#/ended'").await;
    let ended = browser.until("document.querySelector('tbody tr')?.innerText").await;
    assert!(ended.as_str().unwrap().contains("killed"), "{ended}");
    assert_eq!(browser.run("return document.getElementById('banner').hidden").await, true);

    let ground = "return getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.emulate("setEmulatedMedia", feature).await;
        grounds.push(browser.run(ground).await);
    }
    assert_ne!(grounds[0], grounds[1]);
}
