use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use super::support::{Namespace, run, shared};

#[test]
fn kubectl_forwards_ports_into_a_pod() {
    let Some(cluster) = shared("kubectl_forwards_ports_into_a_pod") else { return };
    let here = Namespace::new(&cluster, "forwarded");
    let probe = ", readinessProbe: {tcpSocket: {port: 8000}, periodSeconds: 1}";
    here.pod("server", &["serve", "8000", "hello"], probe);
    here.kubectl(&["wait", "pod/server", "--for=condition=Ready", "--timeout=60s"]);
    let mut kubectl = cluster.kubectl();
    kubectl.args(["-n", here.name(), "port-forward", "pod/server", ":8000"]).stdout(Stdio::piped());
    let mut forward = Forward(kubectl.spawn().unwrap());
    let mut line = String::new();
    // Held on to: kubectl goes on printing, and would end if nobody could read it.
    let mut printed = BufReader::new(forward.0.stdout.take().unwrap());
    printed.read_line(&mut line).unwrap();
    let address = line.split("Forwarding from ").nth(1).and_then(|rest| rest.split(' ').next());
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
    for _ in 0..3 {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello"), "{answer:?}");
    }
}

#[test]
fn clients_over_websocket_forward_ports_into_a_pod() {
    let Some(cluster) = shared("clients_over_websocket_forward_ports_into_a_pod") else { return };
    let here = Namespace::new(&cluster, "websocket");
    let probe = ", readinessProbe: {tcpSocket: {port: 8000}, periodSeconds: 1}";
    here.pod("server", &["serve", "8000", "hello"], probe);
    here.kubectl(&["wait", "pod/server", "--for=condition=Ready", "--timeout=60s"]);
    let said = |port: &str| {
        let mut client = Command::new("python3");
        client.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/websocket_client.py"));
        run(client.arg(cluster.kubeconfig()).args([here.name(), "server", port]))
    };
    assert_eq!(said("8000"), "hello");
    let refused = said("8001");
    assert!(refused.starts_with("error forwarding port 8001 to pod server"), "{refused}");
}

/// Ends with this.
struct Forward(Child);

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
