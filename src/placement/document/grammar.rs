//! Reads conditions, clauses joined of them, and preferences.

use super::reader::{Node, ReadError};
use crate::constraint::{Clause, Condition, ConditionError, Field, Operand, Operator, Preference, PreferenceWeight};
use serde_json::Value as Json;

const CONDITION: &str = "a condition such as [\"rack\", \"IS\", \"r1\"]";
const CLAUSE: &str = "a condition such as [\"rack\", \"IS\", \"r1\"], or an object with any, all or not";
const CLAUSES: &str = "a list of conditions, with at least one";

/// Reads a field of a location; `of` names the key that has it, for errors.
pub(super) fn field(node: Node<'_>, of: &str) -> Result<Field, ReadError> {
    let field: Field = node.text()?.parse().map_err(|error| node.error(ConditionError::from(error)))?;
    if field.is_of_tasks() {
        let operator = of.to_owned();
        return Err(node.error(ConditionError::FieldOfTasks { field, operator }));
    }
    Ok(field)
}

/// Reads the two or three words of a condition.
pub(super) fn words(node: Node<'_>) -> Result<(String, String, Option<Operand>), ReadError> {
    let items: Vec<Node<'_>> = node.items(CONDITION)?.collect();
    let ([field, operator] | [field, operator, _]) = items.as_slice() else { return Err(node.wrong(CONDITION)) };
    // An error is about the whole condition: it is short, and shown in the message.
    let word = |word: &Node<'_>| word.json().as_str().map(str::to_owned).ok_or_else(|| node.wrong(CONDITION));
    let value = items.get(2).map(|value| operand(value.json()).ok_or_else(|| node.wrong(CONDITION)));
    Ok((word(field)?, word(operator)?, value.transpose()?))
}

fn operand(json: &Json) -> Option<Operand> {
    match json {
        Json::String(text) => Some(Operand::Text(text.as_str().into())),
        Json::Number(number) => number.as_f64().map(Operand::Number),
        Json::Array(items) if !items.iter().any(Json::is_array) => {
            items.iter().map(operand).collect::<Option<_>>().map(Operand::List)
        }
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Reads a condition, or conditions joined by any, all, not. The recursion is bounded by that of the JSON reader.
pub(super) fn clause(node: Node<'_>) -> Result<Clause, ReadError> {
    if node.json().is_array() {
        let (field, operator, value) = words(node)?;
        let condition = field.parse::<Field>().map_err(ConditionError::from).and_then(|field| {
            let operator = Operator::new(&operator, value)?;
            Condition::new(field, operator)
        });
        return Ok(condition.map_err(|error| node.error(error))?.into());
    }
    let object = node.json().as_object().ok_or_else(|| node.wrong(CLAUSE))?;
    node.only(&["any", "all", "not"])?;
    if object.len() != 1 {
        return Err(node.wrong("exactly one of any, all, not"));
    }
    let list = |of: Node<'_>| {
        let clauses = of.items(CLAUSES)?.map(clause).collect::<Result<Vec<_>, _>>()?;
        if clauses.is_empty() { Err(of.wrong(CLAUSES)) } else { Ok(clauses) }
    };
    if let Some(any) = node.get("any") {
        return list(any).map(Clause::Any);
    }
    if let Some(all) = node.get("all") {
        return list(all).map(Clause::All);
    }
    Ok(Clause::Not(Box::new(clause(node.required("not", CLAUSE)?)?)))
}

/// Reads a preference: a clause with a weight.
pub(super) fn preference(node: Node<'_>) -> Result<Preference, ReadError> {
    node.only(&["if", "weight"])?;
    let clause = clause(node.required("if", CLAUSE)?)?;
    let weight = match node.get("weight") {
        None => PreferenceWeight::default(),
        Some(weight) => PreferenceWeight::new(weight.number()?).map_err(|error| weight.error(error))?,
    };
    Ok(clause.soften(weight))
}
