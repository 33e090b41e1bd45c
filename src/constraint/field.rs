//! [`Field`]: the property that a condition evaluates.

use crate::text::Text;
use std::fmt;
use std::str::FromStr;

/// The property that a condition evaluates: of a location, or of the tasks that run on its host.
///
/// The text forms are `hostname` or `@hostname`, `@region`, `@zone` and the name of an attribute for fields of a
/// location; `@app`, `@task`, `@image` and `@label.KEY` for fields of tasks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The host name.
    Hostname,
    /// The region of the fault domain.
    Region,
    /// The zone of the fault domain.
    Zone,
    /// The first attribute of that name.
    Attribute(Text),
    /// The apps of the tasks on the host.
    App,
    /// The ids of the tasks on the host.
    Task,
    /// The images of the tasks on the host, with tag and without.
    Image,
    /// The values of that label of the tasks on the host.
    Label(Text),
}

/// Text that is not a [`Field`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found:?} is not a field: expected hostname, @region, @zone, an attribute, @app, @task, @image or @label.KEY")]
pub struct FieldError {
    /// The text.
    pub found: String,
}

impl Field {
    /// Returns true for a field of the tasks on a host, which may have any number of values.
    #[must_use]
    pub fn is_of_tasks(&self) -> bool {
        match self {
            Self::App | Self::Task | Self::Image | Self::Label(_) => true,
            Self::Hostname | Self::Region | Self::Zone | Self::Attribute(_) => false,
        }
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError { found: text.to_owned() };
        match text {
            "hostname" | "@hostname" => Ok(Self::Hostname),
            "@region" => Ok(Self::Region),
            "@zone" => Ok(Self::Zone),
            "@app" => Ok(Self::App),
            "@task" => Ok(Self::Task),
            "@image" => Ok(Self::Image),
            "" => Err(wrong()),
            _ => match text.strip_prefix("@label.") {
                Some(key) if !key.is_empty() => Ok(Self::Label(key.into())),
                None if !text.starts_with('@') => Ok(Self::Attribute(text.into())),
                _ => Err(wrong()),
            },
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hostname => f.write_str("hostname"),
            Self::Region => f.write_str("@region"),
            Self::Zone => f.write_str("@zone"),
            Self::Attribute(name) => f.write_str(name),
            Self::App => f.write_str("@app"),
            Self::Task => f.write_str("@task"),
            Self::Image => f.write_str("@image"),
            Self::Label(key) => write!(f, "@label.{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_print_as_they_are_read() {
        for text in ["hostname", "@region", "@zone", "rack", "@app", "@task", "@image", "@label.tier"] {
            assert_eq!(text.parse::<Field>().unwrap().to_string(), text);
        }
        assert_eq!("@hostname".parse(), Ok(Field::Hostname));
    }

    #[test]
    fn unknown_fields_with_an_at_sign_are_errors() {
        for text in ["", "@", "@host", "@label", "@label."] {
            assert_eq!(text.parse::<Field>(), Err(FieldError { found: text.to_owned() }));
        }
    }
}
