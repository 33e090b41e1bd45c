//! A case: what it says, its variants, and the steps of its script.
//!
//! `{"about": ..., "source": ..., "script": [STEP, ...]}`. Optional: `for_each`, which runs the script
//! once for each value, with `"$x"` and `"${x}"` replaced (and `"$x.field"`, if the value is an object);
//! `any_form`, content with one value that passes; `replayable`, which replays the journal twice and
//! compares the bytes. A step is one of
//!
//! - `{"at": T, "do": {COMMAND: {...}}}`: a line of the journal, see `run.rs` for placeholders in it;
//! - `{"raw": "..."}`: a line sent as it is;
//! - `{"decline_all": {"refuse_seconds": S}}`: declines all live offers;
//! - `{"expect": {CHECK: ...}}`: see `check.rs`.

use super::check::expect;
use super::run::{Check, Run, replay};
use serde_json::{Map, Value as Json, json};

/// Why a case does not hold; none if it does.
pub(crate) fn failure(case: &Json) -> Option<String> {
    if let Some((name, values)) = case["any_form"].as_object().and_then(|forms| forms.iter().next()) {
        let mut failures = Vec::new();
        for value in values.as_array().unwrap() {
            let mut one = case.clone();
            one.as_object_mut().unwrap().shift_remove("any_form");
            one["script"] = substitute(&case["script"], name, value);
            failures.push(failure(&one)?);
        }
        return Some(format!("in no accepted form: {}", failures.join(" | ")));
    }
    let mut variants = vec![(String::new(), case["script"].clone())];
    for (name, values) in case["for_each"].as_object().into_iter().flatten() {
        let values = values.as_array().unwrap();
        let each = |(label, script): &(String, Json)| {
            let (label, script) = (label.clone(), script.clone());
            let one = |value: &Json| (format!("{label}[{name}={value}] "), substitute(&script, name, value));
            values.iter().map(one).collect::<Vec<_>>()
        };
        variants = variants.iter().flat_map(each).collect();
    }
    let replayable = case["replayable"] == true;
    let mut failures = variants.into_iter().filter_map(|(label, script)| {
        let why = run_script(script.as_array().unwrap(), replayable).err()?;
        Some(label + &why)
    });
    failures.next()
}

fn substitute(json: &Json, name: &str, value: &Json) -> Json {
    match json {
        Json::Object(fields) => {
            let text = |key: &String| substitute(&json!(key), name, value).as_str().unwrap_or(key).to_owned();
            Json::Object(fields.iter().map(|(key, field)| (text(key), substitute(field, name, value))).collect())
        }
        Json::Array(items) => items.iter().map(|item| substitute(item, name, value)).collect(),
        Json::String(text) if *text == format!("${name}") => value.clone(),
        Json::String(text) => match (value, text.strip_prefix(&format!("${name}."))) {
            (Json::Object(fields), Some(field)) => fields[field].clone(),
            (Json::String(value), _) => text.replace(&format!("${{{name}}}"), value).into(),
            (Json::Number(value), _) => text.replace(&format!("${{{name}}}"), &value.to_string()).into(),
            (Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_), _) => json.clone(),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
    }
}

fn run_script(script: &[Json], replayable: bool) -> Check {
    let mut run = Run::new();
    for step in script {
        if let Some(check) = step.get("expect") {
            expect(&mut run, check)?;
        } else if let Some(line) = step.get("raw") {
            run.raw(line.as_str().unwrap());
        } else if let Some(filters) = step.get("decline_all") {
            if let Some(at) = step.get("at") {
                run.command(&json!({"at": at, "do": {"advance": {}}}))?;
            }
            run.decline_all(filters);
        } else if let Some(command) = step.get("do") {
            let mut line = Map::new();
            line.extend(step.get("at").map(|at| ("at".to_owned(), at.clone())));
            line.insert("do".to_owned(), command.clone());
            run.command(&Json::Object(line))?;
        } else {
            return Err(format!("bad case: step {step}"));
        }
    }
    run.finish()?;
    if replayable && [replay(run.sent()), replay(run.sent())].iter().any(|bytes| bytes != run.printed()) {
        return Err("two replays of the same journal gave different bytes".to_owned());
    }
    Ok(())
}
