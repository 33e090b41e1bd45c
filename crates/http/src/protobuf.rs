//! Protobuf, the binary encoding of the v1 messages, by way of their JSON.
//!
//! The library reads and writes v1 JSON ([`apportion::v1`]). This module rewrites the JSON of any message as protobuf and
//! back, led by tables of names and numbers, so that there is one mapping of messages to types and not two. The tables are
//! generated from the `.proto` files of this package; they know every field of the APIs, also those that the library keeps
//! uninterpreted in `details`, so nothing of these is lost.
//!
//! Unknown fields and unknown names of enums are dropped and never fail a message: it may be of a newer Mesos. 64-bit
//! numbers are numbers in JSON, bytes are base64, absent is absent: defaults are not filled in. JSON is read as leniently as
//! [there](apportion::v1). A number that is infinite, or none, is absent in JSON.
//!
//! # Examples
//!
//! ```
//! use apportion::v1::{Dialect, SchedulerCall};
//! use apportion::Call;
//! use apportion_http::protobuf::{MessageType, Protobuf};
//!
//! let bytes = MessageType::SCHEDULER_CALL.from_json(r#"{"framework_id":{"value":"f1"},"type":"REVIVE"}"#)?;
//! assert_eq!(bytes, b"\x0a\x04\x0a\x02f1\x10\x05");
//! assert_eq!(MessageType::SCHEDULER_CALL.to_json(&bytes)?, r#"{"framework_id":{"value":"f1"},"type":"REVIVE"}"#);
//!
//! let call: SchedulerCall = Protobuf(Dialect::default()).decode(&bytes)?;
//! assert_eq!(call, SchedulerCall::new("f1", Call::Revive(Vec::new())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod from_json;
mod schema;
mod to_json;
mod wire;

pub use wire::WireError;

use apportion::v1::connection::Codec;
use apportion::v1::{Dialect, ExecutorCall, Message, SchedulerCall, V1Error};
use apportion::{executor, scheduler};
use std::fmt;

/// A type of messages of the v1 APIs.
#[derive(Clone, Copy)]
pub struct MessageType(&'static schema::Message);

macro_rules! message_types {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        impl MessageType {
            $($(#[$doc])* pub const $constant: Self = Self::known($name);)*
        }
    };
}
message_types! {
    /// A call of a framework to its master: `mesos.v1.scheduler.Call`.
    SCHEDULER_CALL = "mesos.v1.scheduler.Call";
    /// An event of a master to a framework: `mesos.v1.scheduler.Event`.
    SCHEDULER_EVENT = "mesos.v1.scheduler.Event";
    /// A call of an executor to its agent: `mesos.v1.executor.Call`.
    EXECUTOR_CALL = "mesos.v1.executor.Call";
    /// An event of an agent to an executor: `mesos.v1.executor.Event`.
    EXECUTOR_EVENT = "mesos.v1.executor.Event";
    /// A call of an operator to a master: `mesos.v1.master.Call`.
    MASTER_CALL = "mesos.v1.master.Call";
    /// The answer of a master to an operator: `mesos.v1.master.Response`.
    MASTER_RESPONSE = "mesos.v1.master.Response";
    /// An event of a master to an operator: `mesos.v1.master.Event`.
    MASTER_EVENT = "mesos.v1.master.Event";
    /// A call of an operator to an agent: `mesos.v1.agent.Call`.
    AGENT_CALL = "mesos.v1.agent.Call";
    /// The answer of an agent to an operator: `mesos.v1.agent.Response`.
    AGENT_RESPONSE = "mesos.v1.agent.Response";
}

impl MessageType {
    /// Returns the type of that full name, as in `mesos.v1.scheduler.Call`, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let index = schema::MESSAGES.binary_search_by_key(&name, |message| message.name).ok()?;
        Some(Self(schema::MESSAGES[index]))
    }

    /// Returns all types, in order of their names.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        schema::MESSAGES.iter().map(|message| Self(message))
    }

    /// Returns the type of that name, when the program is compiled.
    const fn known(name: &str) -> Self {
        let mut index = 0;
        while index < schema::MESSAGES.len() {
            if is_same(schema::MESSAGES[index].name.as_bytes(), name.as_bytes()) {
                return Self(schema::MESSAGES[index]);
            }
            index += 1;
        }
        panic!("the tables have no such message")
    }

    /// Returns the full name, as in `mesos.v1.scheduler.Call`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Rewrites a message as JSON, on one line.
    ///
    /// # Errors
    ///
    /// [`ProtobufError::Wire`] and [`ProtobufError::Text`] when the bytes are no message of this type, and
    /// [`ProtobufError::TooDeep`].
    #[expect(clippy::missing_panics_doc, reason = "the text is UTF-8 in any case")]
    pub fn to_json(self, bytes: &[u8]) -> Result<String, ProtobufError> {
        let mut json = Vec::with_capacity(bytes.len() * 3);
        to_json::write(self.0, bytes, &mut json)?;
        Ok(String::from_utf8(json).expect("names and texts are UTF-8"))
    }

    /// Rewrites the JSON of a message as protobuf.
    ///
    /// # Errors
    ///
    /// [`ProtobufError::Json`] when it is not JSON, and [`ProtobufError::Shape`] when a field has a value of a wrong type.
    pub fn from_json(self, json: &str) -> Result<Vec<u8>, ProtobufError> {
        let mut bytes = Vec::with_capacity(json.len() / 2);
        from_json::write(self.0, json, &mut bytes)?;
        Ok(bytes)
    }
}

const fn is_same(first: &[u8], second: &[u8]) -> bool {
    let mut index = 0;
    while index < first.len() && index < second.len() && first[index] == second[index] {
        index += 1;
    }
    index == first.len() && index == second.len()
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageType").field(&self.0.name).finish()
    }
}

impl PartialEq for MessageType {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for MessageType {}

/// The reason why a message cannot be rewritten as JSON, or as protobuf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// The bytes of a message are no fields.
    #[error("not a {message}: {error}")]
    Wire {
        /// The message that begins there, which may stand within others.
        message: &'static str,
        /// What is wrong.
        error: WireError,
    },
    /// A text is not UTF-8.
    #[error("{message}.{field} is not UTF-8")]
    Text {
        /// The message that the text stands in.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Messages stand within messages more than `most` times.
    #[error("messages within messages: expected at most {most}")]
    TooDeep {
        /// The limit.
        most: usize,
    },
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// A field of the JSON has a value of a wrong type.
    #[error("{path}: {what}", path = if path.is_empty() { "the message" } else { path })]
    Shape {
        /// The path of the field, as in `accept.offer_ids[0].value`; empty for the whole message.
        path: String,
        /// The value found and the type expected.
        what: String,
    },
}

/// The reason why protobuf cannot be read as a message of the library.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no message.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// The message lacks something that the library requires, or has an invalid value.
    #[error(transparent)]
    Message(#[from] V1Error),
}

/// A message of the library that has a type on the wire. This trait is sealed, as [`Message`] is.
pub trait WireMessage: Message {
    /// The type.
    const TYPE: MessageType;
}

impl WireMessage for SchedulerCall {
    const TYPE: MessageType = MessageType::SCHEDULER_CALL;
}

impl WireMessage for scheduler::Event {
    const TYPE: MessageType = MessageType::SCHEDULER_EVENT;
}

impl WireMessage for ExecutorCall {
    const TYPE: MessageType = MessageType::EXECUTOR_CALL;
}

impl WireMessage for executor::Event {
    const TYPE: MessageType = MessageType::EXECUTOR_EVENT;
}

/// The codec of protobuf: what [`Dialect`] is for JSON.
///
/// # Examples
///
/// A connection that speaks protobuf:
///
/// ```
/// use apportion::v1::Dialect;
/// use apportion::v1::connection::Connection;
/// use apportion::{Framework, Role, Time};
/// use apportion_http::protobuf::Protobuf;
///
/// let framework = Framework::new("f1").role(Role::new("web")?);
/// let codec = Protobuf(Dialect::of(&framework));
/// let mut connection = Connection::with_codec(codec, ["m1:5050"], framework, 7)?;
/// let request = connection.poll_request(Time::ZERO).expect("it subscribes");
/// assert!(request.headers.contains(&("Content-Type".into(), "application/x-protobuf".into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "all there is to say is the dialect")]
pub struct Protobuf(pub Dialect);

impl Protobuf {
    /// The media type.
    pub const CONTENT_TYPE: &'static str = "application/x-protobuf";

    /// Encodes a message. Of its uninterpreted `details`, what has a wrong type cannot be said in protobuf.
    ///
    /// # Errors
    ///
    /// [`ProtobufError::Shape`] when a value in the `details` has a wrong type.
    pub fn encode<M: WireMessage>(&self, message: &M) -> Result<Vec<u8>, ProtobufError> {
        M::TYPE.from_json(&self.0.encode(message))
    }

    /// Decodes a message.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when it is none, lacks something, or has an invalid value.
    pub fn decode<M: WireMessage>(&self, bytes: &[u8]) -> Result<M, DecodeError> {
        Ok(self.0.decode(M::TYPE.to_json(bytes)?)?)
    }
}

impl<C: WireMessage, E: WireMessage> Codec<C, E> for Protobuf {
    fn content_type(&self) -> &'static str {
        Self::CONTENT_TYPE
    }

    /// Encodes a call. One with a detail of a wrong type becomes an empty body, which the master rejects: so its author hears
    /// of it.
    fn encode(&self, call: &C) -> Vec<u8> {
        Self::encode(self, call).unwrap_or_default()
    }

    fn decode(&self, record: &[u8]) -> Result<E, String> {
        Self::decode(self, record).map_err(|error| error.to_string())
    }
}
