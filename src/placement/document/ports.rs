//! Reads the ports of an app: its port definitions on the host network, else its port mappings.

use super::reader::{Node, ReadError};
use crate::placement::model::ports::{HostPort, PortRequest};
use crate::text::Text;
use std::collections::BTreeSet;

/// The network mode of an app.
#[derive(Clone, Copy, PartialEq)]
enum Network {
    Host,
    Bridge,
    Container,
    /// An address of its own, in the deprecated form `ipAddress`: a container network.
    Address,
}

fn network(app: Node<'_>, docker: Option<&Node<'_>>) -> Result<Network, ReadError> {
    const NETWORKS: &str = "networks of one mode: host, container/bridge or container";
    let mut found = None;
    if let Some(networks) = app.get("networks") {
        for item in networks.items(NETWORKS)? {
            item.object()?;
            let mode = match item.get("mode") {
                None => Network::Container,
                Some(mode) => match mode.text()? {
                    "host" => Network::Host,
                    "container/bridge" => Network::Bridge,
                    "container" => Network::Container,
                    _ => return Err(mode.wrong("host, container/bridge or container")),
                },
            };
            if found.is_some_and(|found| found != mode) {
                return Err(networks.wrong(NETWORKS));
            }
            found = Some(mode);
        }
    }
    // An empty list says nothing (Marathon's `AppNormalization`).
    if let Some(found) = found {
        return Ok(found);
    }
    if let Some(name) = docker.and_then(|docker| docker.get("network")) {
        return match name.text()? {
            "HOST" => Ok(Network::Host),
            "BRIDGE" => Ok(Network::Bridge),
            "USER" => Ok(Network::Container),
            _ => Err(name.wrong("HOST, BRIDGE or USER")),
        };
    }
    let Some(address) = app.get("ipAddress") else { return Ok(Network::Host) };
    address.object()?;
    Ok(Network::Address)
}

/// Reads the ports of an app.
pub(super) fn read(app: Node<'_>, container: Option<&Node<'_>>) -> Result<Vec<PortRequest>, ReadError> {
    let docker = container.and_then(|container| container.get("docker"));
    let network = network(app, docker.as_ref())?;
    let mut taken = Taken::default();
    if network == Network::Host {
        return definitions(app, &mut taken);
    }
    let unset = if network == Network::Bridge { HostPort::Dynamic } else { HostPort::None };
    let mappings = container
        .and_then(|container| container.get("portMappings"))
        .or_else(|| docker.as_ref().and_then(|docker| docker.get("portMappings")));
    let mut requests = match mappings {
        Some(mappings) => {
            let mapping = |mapping| mapped(mapping, unset, &mut taken);
            mappings.items("a list of port mappings")?.map(mapping).collect::<Result<_, _>>()?
        }
        None => match discovered(app).filter(|_| network == Network::Address) {
            Some(ports) => ports?,
            None => vec![PortRequest { host: unset, ..PortRequest::default() }],
        },
    };
    if let Some(ports) = app.get("ports").filter(|_| network == Network::Bridge) {
        // The others are the service ports of the mappings.
        for port in ports.items("a list of ports")?.skip(requests.len()) {
            requests.push(PortRequest { number: number(port)?, ..PortRequest::dynamic() });
        }
    }
    Ok(requests)
}

/// Reads a port mapping; `unset` is the host port of one that names none.
fn mapped(mapping: Node<'_>, unset: HostPort, taken: &mut Taken) -> Result<PortRequest, ReadError> {
    mapping.object()?;
    let host = match mapping.get("hostPort") {
        None => unset,
        Some(port) => match number(port)? {
            0 => HostPort::Dynamic,
            fixed => taken.add(fixed, port)?,
        },
    };
    let number = mapping.get("containerPort").map(number).transpose()?.unwrap_or(0);
    Ok(PortRequest { host, number, name: name(mapping)? })
}

/// Reads the ports of an address, `ipAddress.discovery.ports`; none if there is no such list.
fn discovered(app: Node<'_>) -> Option<Result<Vec<PortRequest>, ReadError>> {
    let address = app.get("ipAddress")?;
    let discovery = address.get("discovery")?;
    let ports = discovery.get("ports")?;
    let one = |port: Node<'_>| {
        port.object()?;
        let number = port.get("number").map(number).transpose()?.unwrap_or(0);
        Ok(PortRequest { host: HostPort::None, number, name: name(port)? })
    };
    Some(ports.items("a list of ports").and_then(|ports| ports.map(one).collect()))
}

/// Reads `portDefinitions`, or else `ports`.
fn definitions(app: Node<'_>, taken: &mut Taken) -> Result<Vec<PortRequest>, ReadError> {
    let binding = app.get("requirePorts").map(|binding| binding.boolean()).transpose()?.unwrap_or(false);
    let mut request = |port: Node<'_>, name| {
        let number = number(port)?;
        let host = if binding && number > 0 { taken.add(number, port)? } else { HostPort::Dynamic };
        Ok(PortRequest { host, number, name })
    };
    if let Some(definitions) = app.get("portDefinitions") {
        let definition = |definition: Node<'_>| {
            definition.object()?;
            let name = name(definition)?;
            match definition.get("port") {
                Some(port) => request(port, name),
                None => Ok(PortRequest { name, ..PortRequest::dynamic() }),
            }
        };
        return definitions.items("a list of port definitions")?.map(definition).collect();
    }
    match app.get("ports") {
        Some(ports) => ports.items("a list of ports")?.map(|port| request(port, None)).collect(),
        None => Ok(vec![PortRequest::default()]),
    }
}

/// The host ports that an app asks for by number.
#[derive(Default)]
struct Taken(BTreeSet<u16>);

impl Taken {
    /// Adds a number. No offer has one twice, whatever the protocols (Marathon: ports must be unique).
    fn add(&mut self, number: u16, port: Node<'_>) -> Result<HostPort, ReadError> {
        if self.0.insert(number) {
            return Ok(HostPort::Fixed(number));
        }
        Err(port.wrong("a host port that the app does not ask for twice"))
    }
}

fn number(node: Node<'_>) -> Result<u16, ReadError> {
    let number = u16::try_from(node.whole(u16::MAX.into())?);
    number.map_err(|_| node.wrong("a port"))
}

fn name(node: Node<'_>) -> Result<Option<Text>, ReadError> {
    node.get("name").map(|name| name.text().map(Text::new)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::model::app::App;
    use serde_json::{Value as Json, json};

    fn ports(app: &Json) -> Result<Vec<PortRequest>, String> {
        let mut app = app.clone();
        app["id"] = "a".into();
        App::from_json(&app).map(|app| app.ports).map_err(|error| error.to_string())
    }

    #[test]
    fn ports_depend_on_the_network() {
        use HostPort::{Dynamic, Fixed, None as No};
        let mappings = json!([{"containerPort": 80, "hostPort": 0}, {"containerPort": 81}, {"hostPort": 9000}]);
        let docker = json!({"network": "BRIDGE", "portMappings": mappings});
        let (mapped, of_bridge) =
            (json!({"portMappings": mappings}), vec![(Dynamic, 80), (Dynamic, 81), (Fixed(9000), 0)]);
        let found = json!({"ports": [{"number": 80, "name": "http", "protocol": "tcp"}, {"number": 81}]});
        let cases = [
            (json!({}), vec![(Dynamic, 0)]),
            (json!({"ports": []}), vec![]),
            (json!({"ports": [80, 0]}), vec![(Dynamic, 80), (Dynamic, 0)]),
            (json!({"portDefinitions": [{"port": 80}, {}], "requirePorts": true}), vec![(Fixed(80), 80), (Dynamic, 0)]),
            (json!({"container": mapped}), vec![(Dynamic, 0)]),
            (json!({"container": {"docker": {"network": "BRIDGE"}}}), vec![(Dynamic, 0)]),
            (json!({"container": {"docker": docker}}), of_bridge.clone()),
            (json!({"container": {"docker": docker}, "networks": []}), of_bridge.clone()),
            (json!({"container": {"docker": docker}, "networks": null}), of_bridge.clone()),
            (json!({"container": mapped, "networks": [{"mode": "container/bridge"}]}), of_bridge.clone()),
            (
                json!({"container": mapped, "networks": [{"mode": "container", "name": "x"}]}),
                vec![(Dynamic, 80), (No, 81), (Fixed(9000), 0)],
            ),
            (json!({"container": {"docker": {"network": "USER"}}}), vec![(No, 0)]),
            (json!({"networks": [{"mode": "host"}], "ports": [7]}), vec![(Dynamic, 7)]),
            (json!({"networks": [], "ports": [7]}), vec![(Dynamic, 7)]),
            // An address of its own.
            (json!({"ipAddress": {}, "ports": [7]}), vec![(No, 0)]),
            (json!({"ipAddress": null}), vec![(Dynamic, 0)]),
            (json!({"ipAddress": {"discovery": found}}), vec![(No, 80), (No, 81)]),
            (json!({"ipAddress": {"discovery": {"ports": []}}, "networks": []}), vec![]),
            (
                json!({"ipAddress": {"discovery": found}, "container": mapped}),
                vec![(Dynamic, 80), (No, 81), (Fixed(9000), 0)],
            ),
            (json!({"ipAddress": {"discovery": found}, "container": {"docker": {"network": "USER"}}}), vec![(No, 0)]),
            (
                json!({"ipAddress": {"discovery": found}, "container": {"docker": {"network": "HOST"}}}),
                vec![(Dynamic, 0)],
            ),
            // Ports of a bridge beyond its mappings.
            (
                json!({"container": {"docker": docker}, "ports": [1, 2, 3, 0, 9]}),
                [of_bridge.clone(), vec![(Dynamic, 0), (Dynamic, 9)]].concat(),
            ),
            (json!({"container": {"docker": docker}, "ports": [1]}), of_bridge),
            (
                json!({"container": {"docker": {"network": "BRIDGE"}}, "ports": [0, 0]}),
                vec![(Dynamic, 0), (Dynamic, 0)],
            ),
            (json!({"container": {"docker": {"network": "USER"}}, "ports": [0, 0]}), vec![(No, 0)]),
        ];
        for (app, expected) in cases {
            let ports = ports(&app).unwrap();
            assert_eq!(ports.iter().map(|port| (port.host, port.number)).collect::<Vec<_>>(), expected, "{app}");
        }
    }

    #[test]
    fn the_port_that_is_there_by_default_is_named_default() {
        for (app, name) in [
            (json!({}), Some("default")),
            (json!({"container": {"docker": {"network": "BRIDGE"}}}), Some("default")),
            (json!({"networks": [{"mode": "container"}]}), Some("default")),
            (json!({"ipAddress": {}}), Some("default")),
            (json!({"ports": [0]}), None),
            (json!({"portDefinitions": [{}]}), None),
            (json!({"ipAddress": {"discovery": {"ports": [{"number": 80, "name": "http"}]}}}), Some("http")),
            (json!({"networks": [{"mode": "container/bridge"}], "container": {"portMappings": [{}]}}), None),
        ] {
            assert_eq!(ports(&app).unwrap()[0].name.as_deref(), name, "{app}");
        }
    }

    #[test]
    fn a_number_that_is_asked_for_twice_is_refused() {
        let bridge = |mappings: Json| json!({"container": {"docker": {"network": "BRIDGE", "portMappings": mappings}}});
        let twice = "a host port that the app does not ask for twice";
        for (app, path) in [
            (json!({"ports": [8080, 0, 8080], "requirePorts": true}), "ports[2]"),
            (
                json!({"portDefinitions": [{"port": 8080, "protocol": "tcp"}, {"port": 8080, "protocol": "udp"}], "requirePorts": true}),
                "portDefinitions[1].port",
            ),
            (
                bridge(json!([{"hostPort": 8080}, {"hostPort": 8080, "protocol": "udp"}])),
                "container.docker.portMappings[1].hostPort",
            ),
        ] {
            assert_eq!(ports(&app), Err(format!("{path}: found 8080, expected {twice}")));
        }
        for app in [
            json!({"ports": [8080, 8080]}), // service ports
            json!({"ports": [0, 0], "requirePorts": true}),
            json!({"portDefinitions": [{"port": 53, "protocol": "udp,tcp"}], "requirePorts": true}),
            bridge(json!([{"containerPort": 53, "protocol": "udp"}, {"containerPort": 53, "protocol": "tcp"}])),
        ] {
            assert!(ports(&app).is_ok(), "{app}");
        }
    }
}
