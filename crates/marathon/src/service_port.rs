//! [`ServicePort`]: a port of an app at which clients reach it through a proxy, whichever hosts its tasks are on.

use apportion::placement::{JsonNode, ReadError};

/// A service port of an app: the port of the proxy in front of one of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServicePort {
    /// Its number, if the app names one: the `servicePort` of a port mapping or the `port` of a port definition (Marathon's
    /// page *Ports*).
    pub port: Option<u16>,
    /// Whether its protocol includes TCP.
    pub tcp: bool,
    /// The protocol that a proxy speaks on it.
    pub mode: ProxyMode,
}

/// The protocol that a proxy speaks (the label `HAPROXY_0_MODE` of marathon-lb).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyMode {
    /// Forwards bytes.
    Tcp,
    /// Understands requests.
    Http,
}

impl ServicePort {
    /// Reads the service ports of an app that has `ports` ports: one for each.
    pub(crate) fn read_all(app: JsonNode<'_>, ports: usize) -> Result<Vec<Self>, ReadError> {
        let container = app.get("container");
        let docker = container.as_ref().and_then(|container| container.get("docker"));
        let networks = app.get("networks").map(|networks| networks.json());
        let on_host = match networks.and_then(|networks| networks.get(0)) {
            Some(network) => network["mode"] == "host",
            None => docker.as_ref().and_then(|docker| docker.get("network")).is_none_or(|name| name.json() == "HOST"),
        };
        let (written, key) = if on_host {
            (app.get("portDefinitions").or_else(|| app.get("ports")), "port")
        } else {
            let of_container = container.as_ref().and_then(|container| container.get("portMappings"));
            (of_container.or_else(|| docker.as_ref().and_then(|docker| docker.get("portMappings"))), "servicePort")
        };
        let mut services = match written {
            Some(written) => {
                written.items("a list of ports")?.map(|port| Self::read(port, key)).collect::<Result<Vec<_>, _>>()?
            }
            None => Vec::new(),
        };
        services.resize(ports, Self { port: None, tcp: true, mode: ProxyMode::Tcp });
        if let Some(labels) = app.get("labels") {
            for (index, service) in services.iter_mut().enumerate() {
                if let Some(mode) = labels.get(&format!("HAPROXY_{index}_MODE")) {
                    service.mode = ProxyMode::read(mode)?;
                }
            }
        }
        Ok(services)
    }

    /// Reads a number, or an object with the number under that key.
    fn read(port: JsonNode<'_>, key: &str) -> Result<Self, ReadError> {
        let number = |port: JsonNode<'_>| {
            let number = port.whole(u16::MAX.into()).ok().and_then(|number| u16::try_from(number).ok());
            number.map(|number| Some(number).filter(|number| *number > 0)).ok_or_else(|| port.wrong("a port"))
        };
        if !port.json().is_object() {
            return Ok(Self { port: number(port)?, tcp: true, mode: ProxyMode::Tcp });
        }
        let tcp = match port.get("protocol") {
            None => true,
            Some(protocol) => match protocol.text()? {
                "tcp" | "udp,tcp" | "tcp,udp" => true,
                "udp" => false,
                _ => return Err(protocol.wrong("tcp, udp or udp,tcp")),
            },
        };
        Ok(Self { port: port.get(key).map(number).transpose()?.flatten(), tcp, mode: ProxyMode::Tcp })
    }
}

impl ProxyMode {
    fn read(label: JsonNode<'_>) -> Result<Self, ReadError> {
        match label.json().as_str() {
            Some("tcp") => Ok(Self::Tcp),
            Some("http") => Ok(Self::Http),
            _ => Err(label.wrong("tcp or http")),
        }
    }

    /// Returns HAProxy's name of it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::placement::App;
    use serde_json::{Value as Json, json};

    type Short = (Option<u16>, bool, &'static str);

    fn read(mut app: Json) -> Result<Vec<Short>, String> {
        app["id"] = "a".into();
        let ports = App::from_json(&app).unwrap().ports.len();
        let services = ServicePort::read_all(JsonNode::root(&app), ports).map_err(|error| error.to_string())?;
        Ok(services.into_iter().map(|service| (service.port, service.tcp, service.mode.as_str())).collect())
    }

    #[test]
    fn there_is_one_for_each_port_of_the_app() {
        let mappings = json!([{"servicePort": "80", "protocol": "tcp"}, {"containerPort": 53, "protocol": "udp"},
            {"servicePort": 0, "protocol": "udp,tcp"}]);
        let mapped = vec![(Some(80), true, "tcp"), (None, false, "tcp"), (None, true, "tcp")];
        let cases = [
            (json!({}), vec![(None, true, "tcp")]),
            (json!({"ports": [8080, 0]}), vec![(Some(8080), true, "tcp"), (None, true, "tcp")]),
            (
                json!({"portDefinitions": [{"port": 7, "protocol": "udp"}, {"name": "x"}], "ports": [1]}),
                vec![(Some(7), false, "tcp"), (None, true, "tcp")],
            ),
            (json!({"container": {"docker": {"network": "BRIDGE", "portMappings": mappings}}}), mapped.clone()),
            (json!({"container": {"portMappings": mappings}, "networks": [{"mode": "container/bridge"}]}), mapped),
            (json!({"container": {"docker": {"network": "BRIDGE"}}}), vec![(None, true, "tcp")]),
            (json!({"container": {"portMappings": mappings}, "ports": [9]}), vec![(Some(9), true, "tcp")]),
            (
                json!({"ports": [1, 2], "labels": {"HAPROXY_1_MODE": "http", "HAPROXY_9_MODE": "none"}}),
                vec![(Some(1), true, "tcp"), (Some(2), true, "http")],
            ),
        ];
        for (app, services) in cases {
            assert_eq!(read(app.clone()), Ok(services), "{app}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (
                json!({"labels": {"HAPROXY_0_MODE": "ftp"}}),
                "labels.HAPROXY_0_MODE: found \"ftp\", expected tcp or http",
            ),
            (
                json!({"portDefinitions": [{"protocol": "sctp"}]}),
                "portDefinitions[0].protocol: found \"sctp\", expected tcp, udp or udp,tcp",
            ),
            (
                json!({"container": {"docker": {"network": "BRIDGE", "portMappings": [{"servicePort": -1}]}}}),
                "container.docker.portMappings[0].servicePort: found -1, expected a port",
            ),
        ];
        for (app, message) in cases {
            assert_eq!(read(app).unwrap_err(), message);
        }
    }
}
