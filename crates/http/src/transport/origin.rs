//! The `Origin` of a request: pages of other hosts may not change anything here.

use crate::transport::answer::{Answer, text};
use crate::transport::listener::Bounds;
use bytes::Bytes;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri};

/// Refuses a request that may change something and comes from a page that is not of this site.
///
/// Browsers send an `Origin` with all of these, programs send none. Forms are posted without asking first, so without this any
/// page that an operator looks at could tear down a framework.
pub(crate) fn check(bounds: &Bounds, request: &Request<Bytes>) -> Result<(), Answer> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if is_ours(bounds, origin, host) {
        return Ok(());
    }
    Err(text(StatusCode::FORBIDDEN, format!("the page of {origin:?} may not change anything here")))
}

fn is_ours(bounds: &Bounds, origin: &str, host: Option<&str>) -> bool {
    let Some(uri) = origin.parse::<Uri>().ok().filter(|uri| uri.host().is_some()) else { return false };
    let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let name = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(default_port);
    let asked = host.and_then(|host| host.parse::<Authority>().ok());
    if asked.is_some_and(|asked| {
        asked.host().eq_ignore_ascii_case(name) && asked.port_u16().unwrap_or(default_port) == port
    }) {
        return true;
    }
    let ip = bounds.ip.to_string();
    let names = [bounds.hostname.as_str(), &ip, "localhost", "127.0.0.1", "[::1]"];
    port == bounds.port
        && names.iter().any(|own| own.eq_ignore_ascii_case(name.trim_matches(['[', ']'])) || *own == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_change_nothing() {
        let bounds = Bounds::new("master.example", [127, 0, 0, 1].into(), 5050);
        let ask = |method: &str, origin: Option<&str>| {
            let mut request = Request::builder().method(method).uri("/teardown").header("host", "proxy.example");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            check(&bounds, &request.body(Bytes::new()).unwrap()).map_err(|answer| answer.status().as_u16())
        };
        for ours in [
            "http://proxy.example",
            "https://proxy.example",
            "https://Proxy.example:443",
            "http://master.example:5050",
            "http://localhost:5050",
            "http://127.0.0.1:5050",
            "http://[::1]:5050",
        ] {
            assert_eq!(ask("POST", Some(ours)), Ok(()), "{ours}");
        }
        for other in [
            "http://evil.example",
            "http://proxy.example:8080",
            "http://localhost:80",
            "http://master.example",
            "http://master.example.evil:5050",
            "null",
            "",
        ] {
            assert_eq!(ask("POST", Some(other)), Err(403), "{other}");
            assert_eq!(ask("DELETE", Some(other)), Err(403), "{other}");
            assert_eq!(ask("GET", Some(other)), Ok(()), "{other}");
        }
        assert_eq!(ask("POST", None), Ok(()));
    }
}
