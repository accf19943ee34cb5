//! The systemd units and the example of a pool in `deploy/systemd`: what they start, started without systemd.

use std::{fs, net::TcpListener, path::Path, process::Command};

use flott_tests::{
    binaries::binary,
    command::Running,
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    rest::Rest,
    sandbox::Sandbox,
};
use nix::sys::signal::Signal;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What systemd would put in for specifiers and variables, and where a host has its files.
struct Host<'a> {
    sandbox: &'a Sandbox,
    address: String,
    config: String,
}

impl<'a> Host<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).unwrap();
        let config = shipped("pool/config.yaml")
            .replace("flott-master.example", "127.0.0.1")
            .replace("8081", &free.port().to_string())
            .replace("0.0.0.0", "127.0.0.1")
            .replace("/srv/flott", &sandbox.at("srv"));
        Self { sandbox, address: free.to_string(), config: sandbox.write("config.yaml", config) }
    }

    fn filled_in(&self, text: &str) -> String {
        text.replace("/usr/local/bin/flott", &binary("flott"))
            .replace("/etc/flott/config.yaml", &self.config)
            .replace("${FLOTT_JOBMANAGER}", &self.address)
            .replace("%S", &self.sandbox.at("var"))
            .replace("%H", "host")
            .replace("%i", "1")
    }

    /// The value of a setting of a unit.
    #[track_caller]
    fn value(&self, unit: &str, name: &str) -> String {
        let text = shipped(unit);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        self.filled_in(value.unwrap_or_else(|| panic!("{unit} has no {name}")))
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let program = words.next().expect("there is a program");
        let mut command = self.sandbox.command(program, words);
        command.env("FLOTT_TOKEN", TOKEN);
        command
    }

    fn start(&self, unit: &str) -> Running {
        self.sandbox.start(self.command(&self.value(unit, "ExecStart")))
    }
}

#[test]
fn the_units_of_a_pool_serve_a_job_and_end_in_order() {
    let sandbox = Sandbox::new();
    let host = Host::new(&sandbox);
    let mut manager = host.start("flott-jobmanager.service");
    manager.until_printed(&format!("listens on http://{}", host.address));
    let unit = "flott-taskmanager@.service";
    let mut command = host.command(&host.value(unit, "ExecStart"));
    let identity = host.value(unit, "Environment");
    let (name, value) = identity.split_once('=').expect("a variable");
    command.env(name, value);
    let worker = sandbox.start(command);
    let rest = Rest::new(&host.address).with_token(TOKEN);
    eventually("the slots of the example", PATIENCE, || {
        let overview = rest.get("/overview");
        if overview["slots-total"] == 4 { Ok(()) } else { Err(overview) }
    });
    assert_eq!(rest.get("/taskmanagers")["taskmanagers"][0]["id"], "host-1");

    let out = sandbox.at("out");
    let run = format!("{} run -m {} {} a output={out}", binary("flott"), host.address, test_program());
    sandbox.start(host.command(&run)).end().success();
    check_output(&out, 1000, 10);

    for running in [worker, manager] {
        running.signal(Signal::SIGTERM);
        running.end().success();
    }
    sandbox.until_empty();
}
