//! What the program `marathon` writes for HAProxy.
#![expect(dead_code, reason = "what decides who is listed is in the program")]

#[path = "../examples/marathon/haproxy.rs"]
mod haproxy;
#[path = "../examples/marathon/service_port.rs"]
mod service_port;
