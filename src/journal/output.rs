//! serde for what a master gives, in the forms of the journal.

use super::effect::{Emit, Line, StateLine};
use super::explanation::{ExplanationLine, details};
use crate::allocator::Reason;
use crate::master::{Effect, Emitted, Explanation, State};
use serde::{Serialize, Serializer};

impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Emit::from(self).serialize(serializer)
    }
}

impl Serialize for Emitted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line { at: self.at, emit: (&self.effect).into() }.serialize(serializer)
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StateLine::from(self).serialize(serializer)
    }
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ExplanationLine::from(self).serialize(serializer)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        details(self).serialize(serializer)
    }
}
