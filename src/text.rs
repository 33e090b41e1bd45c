//! [`Text`]: the names and ids of a cluster, short and shared.

use serde::{Deserialize, Deserializer, Serialize};
use smol_str::{SmolStr, ToSmolStr};
use std::borrow::{Borrow, Cow};
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// Text that does not change: names, ids, messages. Up to 23 bytes are stored inline; what is longer is shared by its
/// clones. It is a [`str`] wherever one is wanted.
///
/// # Examples
///
/// ```
/// use apportion::Text;
///
/// const RACK: Text = Text::new_static("rack");
/// let rack: Text = "rack".into();
/// assert_eq!(rack, RACK);
/// assert_eq!(rack, "rack");
/// assert!(rack.starts_with('r'));
/// assert_eq!(Text::from_display(format_args!("{rack}-{}", 7)), "rack-7");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(SmolStr);

impl Text {
    /// Makes text of anything that is text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(SmolStr::new(text))
    }

    /// Makes text of a literal without copying it.
    #[must_use]
    pub const fn new_static(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    /// Writes a value as text, as [`ToString::to_string`] does; up to 23 bytes without an allocation.
    pub fn from_display(value: impl fmt::Display) -> Self {
        Self(value.to_smolstr())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Conversions from the types of text of the standard library.
macro_rules! from {
    ($($type:ty)*) => {
        $(impl From<$type> for Text {
            fn from(text: $type) -> Self {
                Self(text.into())
            }
        })*
    };
}

from!(&str &String String Box<str> Cow<'_, str>);

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

impl FromStr for Text {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

/// Comparisons with the types of text of the standard library, from both sides.
macro_rules! eq {
    ($($type:ty)*) => {
        $(impl PartialEq<$type> for Text {
            fn eq(&self, other: &$type) -> bool {
                let other: &str = other.as_ref();
                self.as_str() == other
            }
        }

        impl PartialEq<Text> for $type {
            fn eq(&self, other: &Text) -> bool {
                other == self
            }
        })*
    };
}

eq!(str &str String);

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SmolStr::deserialize(deserializer).map(Self)
    }
}
