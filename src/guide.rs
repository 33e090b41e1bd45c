#![doc = include_str!("../docs/guide.md")]

#[doc = include_str!("../docs/recover.md")]
pub mod recover {}

#[doc = include_str!("../docs/allocator.md")]
pub mod allocator {}
