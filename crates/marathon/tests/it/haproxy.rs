//! The HAProxy configurations that the program `marathon` writes.
#![expect(clippy::print_stderr, reason = "a test says what it could not do")]

use std::path::Path;
use std::process::{Command, Output};
use std::{fs, io};

/// Runs the program in the folder of the package, with that file as its configuration.
fn marathon(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marathon"));
    command.arg("--haproxy").arg(file).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

/// Returns a file of agents whose hostnames are addresses, so that HAProxy needs no DNS.
fn agents(folder: &Path) -> String {
    let agent = |number| {
        let resources = "cpus:4;mem:1024;ports:[31000-32000]";
        format!(r#"{{"id": "a{number}", "hostname": "192.0.2.{number}", "resources": "{resources}"}}"#)
    };
    let agents: Vec<String> = (1..=6).map(agent).collect();
    let file = folder.join("agents.json");
    fs::write(&file, format!(r#"{{"agents": [{}]}}"#, agents.join(", "))).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Has HAProxy check a file, if it is installed.
fn judge(file: &Path) {
    match Command::new("haproxy").arg("-c").arg("-f").arg(file).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("haproxy is not installed: only the text of {} is checked", file.display());
        }
        Err(error) => panic!("haproxy: {error}"),
    }
}

/// Returns the sections of the apps.
fn listens(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let (_, listens) = text.split_once("  stats enable\n").unwrap();
    listens.to_owned()
}

const SHOP: &str = r#"{"id": "/shop", "apps": [
    {"id": "db", "cmd": "serve", "cpus": 0.5, "ports": [5432, 0]},
    {"id": "dns", "cmd": "serve", "cpus": 0.5, "dependencies": ["db"], "portDefinitions": [{"protocol": "udp"}, {"protocol": "udp,tcp"}]},
    {"id": "web", "cmd": "serve", "cpus": 0.5, "instances": 2, "dependencies": ["db"], "labels": {"HAPROXY_0_MODE": "http"},
     "healthChecks": [{"path": "/"}]}]}"#;

#[test]
fn there_is_one_listen_for_each_service_port() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, file) = (folder.path().join("shop.json"), folder.path().join("haproxy.cfg"));
    fs::write(&shop, SHOP).unwrap();
    let apps = [shop.to_str().unwrap(), "apps/nginx-bridge-port-app.json"];
    let output = marathon(&file, &[&apps[..], &["--cluster", &agents(folder.path())]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = "
listen shop_db-5432
  bind 0.0.0.0:5432
  mode tcp
  option tcplog
  balance leastconn
  server shop_db.1 192.0.2.1:31000 check

listen shop_db-10000
  bind 0.0.0.0:10000
  mode tcp
  option tcplog
  balance leastconn
  server shop_db.1 192.0.2.1:31001 check

listen nginx-80
  bind 0.0.0.0:80
  mode tcp
  option tcplog
  balance leastconn
  server nginx.1 192.0.2.2:31000 check
  server nginx.2 192.0.2.3:31000 check

# shop_dns: port 0 is left out, as it is of UDP

listen shop_dns-10001
  bind 0.0.0.0:10001
  mode tcp
  option tcplog
  balance leastconn
  server shop_dns.1 192.0.2.4:31001 check

listen shop_web-10002
  bind 0.0.0.0:10002
  mode http
  option httplog
  balance leastconn
  server shop_web.1 192.0.2.5:31000 check
  server shop_web.2 192.0.2.6:31000 check
";
    assert_eq!(listens(&file), expected);
    judge(&file);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(&format!("haproxy  {} is written", file.display())), "{told}");
}

#[test]
fn only_tasks_that_are_up_are_led_to() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, file) = (folder.path().join("shop.json"), folder.path().join("haproxy.cfg"));
    fs::write(&shop, SHOP).unwrap();
    let agents = agents(folder.path());
    let servers = |arguments: &[&str]| {
        let output = marathon(&file, &[&[shop.to_str().unwrap(), "--cluster", &agents], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        judge(&file);
        let text = listens(&file);
        let names = text.lines().filter_map(|line| line.strip_prefix("  server ")?.split(' ').next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(servers(&["--stop", "/shop/web"]), ["shop_db.1", "shop_db.1", "shop_dns.1"]);
    let scaled = servers(&["--scale", "shop/web=1", "--sick", "shop_web.1"]);
    assert_eq!(scaled, ["shop_db.1", "shop_db.1", "shop_dns.1", "shop_web.3"]); // another one has taken its place
    assert_eq!(servers(&["--stop", "/shop"]), [""; 0]);
    let never = r#"{"id": "a", "cmd": "serve", "cpus": 99}"#;
    fs::write(&shop, never).unwrap();
    assert_eq!(servers(&[]), [""; 0]);
    assert!(listens(&file).contains("listen a-10000\n"));
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_happens() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let one = write("one.json", r#"{"id": "a", "cmd": "serve", "ports": [80]}"#);
    let two = write("two.json", r#"{"id": "b", "cmd": "serve", "ports": [80]}"#);
    let mode = write("mode.json", r#"{"id": "c", "cmd": "serve", "labels": {"HAPROXY_0_MODE": "ftp"}}"#);
    let nowhere = folder.path().join("no/such/folder/haproxy.cfg");
    let file = folder.path().join("haproxy.cfg");
    let cases: [(&Path, &[&str], &str); 5] = [
        (&nowhere, &[], "--haproxy "),
        (&file, &[&one, &two], "--haproxy: 80 is the service port of /a [0] and of /b [0]\n"),
        (
            &file,
            &["--update", &one, "--update", &two],
            "--haproxy: 80 is the service port of /nginx [0] and of /a [0]\n",
        ),
        (&file, &["groups/shop.json", "--json", "--sick", "shop_data_db.9"], "--sick: shop_data_db.9 does not"),
        (&file, &[&mode], "mode.json:1:58: labels.HAPROXY_0_MODE: found \"ftp\", expected tcp or http\n"),
    ];
    for (file, arguments, message) in cases {
        let output = marathon(file, arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        assert!(told.contains(message), "{told}");
    }
    assert!(!file.exists());
}
