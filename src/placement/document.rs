//! Documents: apps and whole problems as JSON, and where in a text something is wrong.

mod marathon;
mod problem;
mod spread;
mod syntax;
mod volume;

mod grammar;
mod reader;

pub use problem::Problem;
pub use reader::{Node, ReadError, ReadFault, TextError};
pub use syntax::{SyntaxError, SyntaxFault, read_json};
