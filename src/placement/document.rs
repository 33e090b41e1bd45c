//! Documents: reads apps and whole problems from JSON, with errors that say where.
//!
//! [`problem`] reads a document, [`marathon`] its apps with their [`ports`], [`volume`]s and [`spread`]s, [`grammar`] their
//! conditions; all of them through a [`reader::Node`], which knows its path. [`syntax`] locates syntax errors, [`position`]
//! wrong values; [`density`] refuses text that would take too much memory.

mod density;
mod marathon;
mod ports;
mod position;
mod problem;
mod spread;
mod syntax;
mod volume;

mod grammar;
mod reader;

pub use problem::Problem;
pub use reader::{Node, ReadError, ReadFault, TextError};
pub use syntax::{MAX_DOCUMENT_BYTES, SyntaxError, SyntaxFault, read_json, read_json_up_to};
