//! What every server over HTTP needs, whatever it serves: bodies within bounds, encodings, connections that end in order.

pub(crate) mod answer;
pub(crate) mod clock;
mod connections;
pub(crate) mod duration;
pub(crate) mod encoding;
mod ending;
mod gzip;
pub(crate) mod jsonp;
pub(crate) mod listener;
mod origin;
pub(crate) mod path;
pub(crate) mod query;
mod request_body;
mod socket;
pub(crate) mod stream;

pub use answer::{Answer, bad_request, empty, json_text, only, text, typed};
pub use clock::unix_time;
pub use jsonp::wrapped as jsonp;
pub use listener::{Body, Bounds, Listener, Site, streamed};
pub use path::Path;
pub use query::Query;
