//! Collections over dense indices.

pub(super) mod bit_set;
pub(super) mod id_map;
