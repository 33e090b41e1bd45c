//! What comes back from a journal or a snapshot is as the original and goes on as it does.

mod digits;
mod hostile;
mod rotation;
#[path = "../tier/mod.rs"]
mod tier;

/// A journal in which everything that a snapshot has to keep happens.
const LIFE: &str = include_str!("life.jsonl");
