//! Level one: results of the literature, reasons of the allocator, and journals that mean no good.

mod checked;
mod explain;
mod explain_property;
mod fit;
mod golden;
mod hdrf;
mod hostile;
mod policy;
mod pool;
#[path = "../tier/mod.rs"]
mod tier;
