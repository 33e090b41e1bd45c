//! [`ServicePort`]: a port of an app at which clients reach it through a proxy, whichever hosts its tasks are on.

use apportion::Text;
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
    /// How a proxy balances it (the label `HAPROXY_0_BALANCE`), if the app says.
    pub balance: Option<Text>,
    /// The names under which it is reached at the proxy's port of HTTP (the label `HAPROXY_0_VHOST`).
    pub hosts: Vec<Text>,
    /// The groups of proxies that serve it (the label `HAPROXY_0_GROUP`, or else `HAPROXY_GROUP`).
    pub groups: Vec<Text>,
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
            None => match docker.as_ref().and_then(|docker| docker.get("network")) {
                Some(name) => name.json() == "HOST",
                None => app.get("ipAddress").is_none(),
            },
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
        services.resize(ports, Self::new(None, true));
        if let Some(labels) = app.get("labels") {
            for (index, service) in services.iter_mut().enumerate() {
                service.read_labels(labels, index)?;
            }
        }
        Ok(services)
    }

    fn new(port: Option<u16>, tcp: bool) -> Self {
        Self { port, tcp, mode: ProxyMode::Tcp, balance: None, hosts: Vec::new(), groups: Vec::new() }
    }

    /// Reads the labels of marathon-lb for the port of that index.
    fn read_labels(&mut self, labels: JsonNode<'_>, index: usize) -> Result<(), ReadError> {
        if let Some(port) = labels.get(&format!("HAPROXY_{index}_PORT")) {
            self.port = Some(number(port)?.ok_or_else(|| port.wrong("a port from 1 to 65535"))?);
        }
        if let Some(hosts) = labels.get(&format!("HAPROXY_{index}_VHOST")) {
            self.hosts = words(hosts)?;
            self.mode = ProxyMode::Http;
        }
        if let Some(mode) = labels.get(&format!("HAPROXY_{index}_MODE")) {
            self.mode = ProxyMode::read(mode)?;
        }
        if let Some(balance) = labels.get(&format!("HAPROXY_{index}_BALANCE")) {
            self.balance = words(balance)?.into_iter().next();
        }
        if let Some(groups) = labels.get(&format!("HAPROXY_{index}_GROUP")).or_else(|| labels.get("HAPROXY_GROUP")) {
            self.groups = words(groups)?;
        }
        Ok(())
    }

    /// Returns whether a proxy of that group serves it, as marathon-lb decides it.
    pub fn is_of_group(&self, group: &str) -> bool {
        group == "*" || self.groups.iter().any(|own| *own == group || *own == "*")
    }

    /// Reads a number, or an object with the number under that key.
    fn read(port: JsonNode<'_>, key: &str) -> Result<Self, ReadError> {
        if !port.json().is_object() {
            return Ok(Self::new(number(port)?, true));
        }
        let tcp = match port.get("protocol") {
            None => true,
            Some(protocol) => match protocol.text()? {
                "tcp" | "udp,tcp" | "tcp,udp" => true,
                "udp" => false,
                _ => return Err(protocol.wrong("tcp, udp or udp,tcp")),
            },
        };
        Ok(Self::new(port.get(key).map(number).transpose()?.flatten(), tcp))
    }
}

/// Reads a port; 0 is none.
fn number(port: JsonNode<'_>) -> Result<Option<u16>, ReadError> {
    let number = port.whole(u16::MAX.into()).ok().and_then(|number| u16::try_from(number).ok());
    number.map(|number| Some(number).filter(|number| *number > 0)).ok_or_else(|| port.wrong("a port"))
}

/// Reads words separated by commas, such as can stand in HAProxy's configuration.
fn words(label: JsonNode<'_>) -> Result<Vec<Text>, ReadError> {
    let text = label.text()?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:*()".contains(letter);
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.is_empty() || !words.iter().all(|word| word.chars().all(is_plain)) {
        return Err(label.wrong("words of letters, digits and -_.:*(), separated by commas"));
    }
    Ok(words.into_iter().map(Text::new).collect())
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
    fn labels_of_marathon_lb_hold() {
        let app = json!({"id": "a", "ports": [80, 81, 82], "labels": {"HAPROXY_GROUP": "external,internal",
            "HAPROXY_0_PORT": "18081", "HAPROXY_0_VHOST": "shop.example, www.shop.example", "HAPROXY_1_VHOST": "a.example",
            "HAPROXY_1_MODE": "tcp", "HAPROXY_1_BALANCE": "source", "HAPROXY_2_GROUP": "*"}});
        let services = ServicePort::read_all(JsonNode::root(&app), 3).unwrap();
        let short: Vec<_> = services.iter().map(|one| (one.port, one.mode.as_str(), one.balance.as_deref())).collect();
        assert_eq!(short, [(Some(18081), "http", None), (Some(81), "tcp", Some("source")), (Some(82), "tcp", None)]);
        assert_eq!(services[0].hosts, ["shop.example", "www.shop.example"]);
        let is_of = |group| services.iter().map(|one| one.is_of_group(group)).collect::<Vec<_>>();
        assert_eq!(
            (is_of("external"), is_of("other"), is_of("*")),
            (vec![true; 3], vec![false, false, true], vec![true; 3])
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (
                json!({"labels": {"HAPROXY_0_PORT": "0"}}),
                "labels.HAPROXY_0_PORT: found \"0\", expected a port from 1 to 65535",
            ),
            (
                json!({"labels": {"HAPROXY_0_BALANCE": "first\nbind *:1"}}),
                "labels.HAPROXY_0_BALANCE: found \"first\\nbind *:1\", expected words of letters, digits and -_.:*(), separated by commas",
            ),
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
