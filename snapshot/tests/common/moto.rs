//! Moto's S3-speaking server, which must be there as `moto_server` (`pip install 'moto[server]'`) or as what
//! `FLOTT_MOTO_SERVER` names.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// A server of its own for a test; it ends with it.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: String,
}

fn program() -> String {
    std::env::var("FLOTT_MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned())
}

impl Moto {
    /// Whether one can be started here.
    #[allow(dead_code, reason = "not every test that includes this asks")]
    pub fn is_there() -> bool {
        let asked = Command::new(program()).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    }

    /// Starts one.
    pub fn start() -> Self {
        let program = program();
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{program}: {error}; install it with `pip install 'moto[server]'`, or name it in FLOTT_MOTO_SERVER")
        });
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "{program} ended: {lines}");
            if let Some((_, address)) = line.split_once("Running on http://") {
                break address.trim().to_owned();
            }
            lines.push_str(&line);
        };
        // It must not block on what nobody reads.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child, address }
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request =
            format!("PUT /{name} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// HOST:PORT.
    #[allow(dead_code, reason = "not every test that includes this asks")]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().expect("the server is ours to end");
        self.child.wait().expect("the server ends");
    }
}
