//! serde for public values, in the forms that they have in a journal.
//!
//! A value is read in two steps: [`raw`] checks names and JSON types, [`decode`] values. [`encode`] goes back; [`values`]
//! implements serde with them. Snapshots have these forms too, so they are there without the journal.

mod decode;
mod encode;
pub(crate) mod raw;
mod values;

#[cfg(feature = "json")]
pub use decode::ValueError;

/// The format of the journal: `configure` refuses a later one.
const FORMAT: u64 = 1;
