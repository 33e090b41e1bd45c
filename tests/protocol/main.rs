//! The protocol between master, frameworks and agents: as a journal, as v1 JSON, and between programs in one process.

mod conformance;
mod connected;
mod connection;
mod delivery;
mod driver;
mod guide;
mod recordings;
mod v1;

#[path = "../tier/mod.rs"]
mod tier;
