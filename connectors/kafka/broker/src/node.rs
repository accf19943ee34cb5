//! A directory with a broker's settings and data.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::jars;

/// Options of the JVM: few threads and little memory, as a test has need of, and up in seconds.
const JVM: &[&str] =
    &["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"];

/// A name that the cluster is to have; each directory is a cluster of its own.
const CLUSTER: &str = "RmxvdHRLYWZrYUJyb2tlcg";

const LOG_SETTINGS: &str = "rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
";

/// A broker's directory: formatted, with ports that were free.
#[derive(Debug, Clone)]
pub struct Node {
    directory: PathBuf,
    port: u16,
}

impl Node {
    /// Makes the settings of a broker in `directory`, which is empty or not there yet, and formats its storage. `settings`
    /// are lines of `server.properties`, and win over those of this crate.
    ///
    /// # Errors
    /// Without Java or jars, or when the directory cannot be written.
    pub fn create(directory: &Path, settings: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let [port, controller] = free_ports()?;
        let node = Self { directory: directory.to_owned(), port };
        let data = directory.join("data");
        let own = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
controlled.shutdown.enable=false
",
            data.display(),
        );
        fs::write(node.settings(), own + settings)?;
        fs::write(directory.join("log4j2.properties"), LOG_SETTINGS)?;
        let output = node
            .java()?
            .args(["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", CLUSTER, "--config"])
            .arg(node.settings())
            .stdin(Stdio::null())
            .output()
            .context("cannot run java")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the storage of Kafka in {} was not formatted: {said}", data.display());
        Ok(node)
    }

    /// The broker of a directory that [`create`](Self::create) has made.
    ///
    /// # Errors
    /// When it is no such directory.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let mut node = Self { directory: directory.to_owned(), port: 0 };
        let settings = fs::read_to_string(node.settings())
            .with_context(|| format!("{} is no directory of a broker", directory.display()))?;
        let port = settings.lines().find_map(|line| line.strip_prefix("advertised.listeners=PLAINTEXT://127.0.0.1:"));
        node.port = port.and_then(|port| port.parse().ok()).context("its settings name no port")?;
        Ok(node)
    }

    /// `host:port`, as clients take it.
    pub fn servers(&self) -> String {
        self.address().to_string()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn settings(&self) -> PathBuf {
        self.directory.join("server.properties")
    }

    /// What the broker says.
    pub fn log(&self) -> PathBuf {
        self.directory.join("broker.log")
    }

    fn java(&self) -> anyhow::Result<Command> {
        let jars = jars::cached().with_context(|| format!("the jars of Kafka {} are not there", jars::VERSION))?;
        let mut java = Command::new("java");
        java.args(JVM)
            .arg(format!("-Dlog4j2.configurationFile={}", self.directory.join("log4j2.properties").display()))
            .arg("-cp")
            .arg(jars.join("*"));
        Ok(java)
    }

    /// The command that runs the broker until it is killed; what it says goes to its log.
    ///
    /// # Errors
    /// Without jars, or when the log cannot be written.
    pub fn command(&self) -> anyhow::Result<Command> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = self.java()?;
        command.arg("kafka.Kafka").arg(self.settings()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// The last lines of its log, for who looks for what went wrong.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Ports that nobody listens on; all are held until all are found, so that they differ. Kafka cannot be told to take any.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
