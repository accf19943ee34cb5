//! Savepoints of every kind of state, as builds wrote them: `tests/fixtures/states-version-<n>`.
//!
//! Each is of the program's job with `every-state=true`, cancelled half-way with a savepoint, so that nothing of what it has written is
//! visible: its sink has prepared it, and whoever goes on from the savepoint shows it. A savepoint knows by its path where that is. So
//! what is gone on from is a copy in which the path is another, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flott_core::id::Digest;

use crate::{
    binaries::text,
    book::lines_in,
    chaos::oracle::Output,
    copy,
    eventually::{PATIENCE, eventually},
    plain::records_read,
    program::test_program,
    sandbox::{Sandbox, Session},
};

/// The first version of the format of which there is one.
pub const FIRST_VERSION: u64 = 3;
/// Numbers of the job. The snapshot is taken behind half of them.
pub const RECORDS: u64 = 434;
/// Bytes of the path that the job's output had, and has in each copy.
const PATH_LENGTH: usize = 160;
/// A time to live that nothing outlives, in milliseconds.
const LONG_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// One of them.
#[derive(Debug)]
pub struct Fixture {
    version: u64,
    directory: PathBuf,
}

/// Whether what fades has faded, by the time that it is gone on from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fading {
    /// All of it.
    Gone,
    /// None of it.
    There,
}

fn arguments(hold: &str, output: &str, fading_ms: u64) -> Vec<String> {
    let numbers = [format!("records={RECORDS}"), format!("fading={fading_ms}")];
    let places = [format!("hold={hold}"), format!("output={output}")];
    ["states", "every-state=true"].map(str::to_owned).into_iter().chain(numbers).chain(places).collect()
}

/// A path in the sandbox that has [`PATH_LENGTH`] bytes.
fn long_path(sandbox: &Sandbox, name: &str) -> String {
    let room = PATH_LENGTH.checked_sub(text(sandbox.path()).len() + 1).expect("paths of sandboxes are shorter");
    sandbox.at(&format!("{name:-<room$}"))
}

/// What the job shows if nothing stops it.
#[derive(Debug)]
pub struct Undisturbed(Vec<String>);

impl Undisturbed {
    /// Runs it.
    #[track_caller]
    pub fn run(sandbox: &Sandbox) -> Self {
        let (hold, output) = (sandbox.write("open", ""), sandbox.at("undisturbed"));
        sandbox.program(&test_program(), arguments(&hold, &output, LONG_MS)).success();
        Self(lines_in(&output))
    }

    fn expected(&self, fading: Fading) -> Output {
        let line = |line: &String| match (fading, line.strip_prefix("fading ").and_then(|rest| rest.split_once(' '))) {
            (Fading::Gone, Some((number, _))) => format!("fading {number} None"),
            _ => line.clone(),
        };
        Output::of(self.0.iter().map(line))
    }
}

impl Fixture {
    /// That of a version of the format.
    pub fn of(version: u64) -> Self {
        let name = format!("fixtures/states-version-{version}");
        Self { version, directory: Path::new(env!("CARGO_MANIFEST_DIR")).join(name) }
    }

    /// Makes it with this build.
    ///
    /// # Panics
    /// When it is there: what a build wrote is not to be changed.
    #[track_caller]
    pub fn make(&self, sandbox: &Sandbox) {
        fs::create_dir(&self.directory).unwrap_or_else(|error| panic!("{}: {error}", self.directory.display()));
        let session = sandbox.session(&[]);
        let output = long_path(sandbox, "made");
        let arguments = arguments(&sandbox.at("hold"), &output, LONG_MS);
        let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
        eventually("half of the records to be read", PATIENCE, || {
            let read = records_read(&session, &job);
            if read == RECORDS / 2 { Ok(()) } else { Err(read) }
        });
        let taken = sandbox.flott(["cancel", "-s", &sandbox.at("savepoints"), &job, "--json"]).success().json();
        session.stop();
        let savepoint = taken["location"].as_str().expect("it has a place");
        copy::directory(Path::new(savepoint), &self.savepoint()).expect("a savepoint can be copied");
        copy::directory(Path::new(&output), &self.directory.join("output")).expect("an output can be copied");
        fs::write(self.directory.join("output-was"), output).expect("the new fixture can be written to");
    }

    /// The savepoint, as it was written.
    pub fn savepoint(&self) -> PathBuf {
        self.directory.join("savepoint")
    }

    /// Wants a job that goes on from it to show the rest of what an undisturbed one does, and what it had prepared.
    #[track_caller]
    pub fn check(
        &self,
        sandbox: &Sandbox,
        session: &Session<'_>,
        undisturbed: &Undisturbed,
        parallelism: &str,
        fading: Fading,
    ) {
        let name = format!("{}-{parallelism}", self.version);
        let (first, savepoint) = self.copied(sandbox, &name);
        let (hold, rest) = (sandbox.write("open", ""), sandbox.at(&format!("rest-{name}")));
        let fading_ms = match fading {
            Fading::Gone => 1,
            Fading::There => LONG_MS,
        };
        let options = ["-p", parallelism, "-s", &savepoint];
        session.run(&options, &test_program(), arguments(&hold, &rest, fading_ms)).success();
        let shown = Output::of([&first, &rest].into_iter().flat_map(|directory| lines_in(directory)));
        let differences = shown.differences(&undisturbed.expected(fading));
        assert!(differences.is_empty(), "version {}, -p {parallelism}: {}", self.version, differences.join("\n"));
    }

    /// Where what it has written is, of which nothing is visible, and where the savepoint.
    #[track_caller]
    fn copied(&self, sandbox: &Sandbox, name: &str) -> (String, String) {
        let output = long_path(sandbox, &format!("first-{name}"));
        copy::directory(&self.directory.join("output"), Path::new(&output)).expect("a fixture has an output");
        assert!(lines_in(&output).is_empty(), "something is visible already");
        let savepoint = sandbox.at(&format!("savepoint-{name}"));
        copy::directory(&self.savepoint(), Path::new(&savepoint)).expect("a fixture has a savepoint");
        let (manifest, was) = (format!("{savepoint}/_metadata"), self.directory.join("output-was"));
        let was = fs::read_to_string(was).expect("a fixture says where its output was");
        let document = fs::read_to_string(&manifest).expect("a savepoint has a manifest");
        fs::write(&manifest, relocated(&document, &was, &output)).expect("the sandbox can be written to");
        (output, savepoint)
    }
}

/// A manifest in which the output is somewhere else.
#[track_caller]
fn relocated(document: &str, was: &str, is: &str) -> String {
    assert_eq!(was.len(), is.len(), "{was:?} and {is:?} must be of one length");
    let hex = |path: &str| path.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let before = "\"manifest\":";
    let (head, content) = document.split_once(before).expect("the document is a manifest");
    let content = content.strip_suffix('}').expect("it ends the document");
    assert!(content.contains(&hex(was)), "no sink has prepared anything in {was}");
    let moved = content.replace(&hex(was), &hex(is));
    let [then, now] = [content, &moved].map(|content| Digest::of(content.as_bytes()).to_string());
    assert!(head.contains(&then), "the checksum is not that of the manifest");
    format!("{}{before}{moved}}}", head.replace(&then, &now))
}
