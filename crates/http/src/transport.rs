//! What every server over HTTP needs, whatever it serves: bodies within bounds, encodings, connections that end in order.

pub(crate) mod answer;
pub(crate) mod clock;
pub(crate) mod connections;
pub(crate) mod duration;
pub(crate) mod encoding;
pub(crate) mod ending;
pub(crate) mod jsonp;
pub(crate) mod origin;
pub(crate) mod query;
pub(crate) mod request_body;
pub(crate) mod socket;
pub(crate) mod stream;
