//! What can go wrong while a record is processed.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Stdio, exit},
    str::FromStr,
};

use nix::sys::signal::{SigHandler, Signal, signal};

/// Kinds of trouble.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// The function panics.
    Panic,
    /// It writes to memory that is not there.
    Segfault,
    /// It ends the process.
    Exit,
    /// It never comes back.
    Spin,
    /// The same, and the process minds no SIGTERM.
    Defy,
    /// It prints for ever.
    Print,
    /// It starts a child that outlives it, and goes on.
    Spawn,
    /// A child of it takes all memory that there is: the TaskManager, which counts what the process takes, sees nothing of it.
    Eat,
}

impl FromStr for Trouble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "panic" => Self::Panic,
            "segfault" => Self::Segfault,
            "exit" => Self::Exit,
            "spin" => Self::Spin,
            "defy" => Self::Defy,
            "print" => Self::Print,
            "spawn" => Self::Spawn,
            "eat" => Self::Eat,
            other => return Err(format!("there is no trouble {other:?}")),
        })
    }
}

/// Whether `file` was not there; it is now.
pub fn is_first(file: &Path) -> bool {
    File::create_new(file).is_ok()
}

/// Whether `file` is there and this is who removes it.
pub fn is_now(file: &Path) -> bool {
    file.exists() && std::fs::remove_file(file).is_ok()
}

/// Lets it happen.
pub fn happens(trouble: Trouble) {
    match trouble {
        Trouble::Panic => panic!("this record is too much"),
        Trouble::Segfault => segfault(),
        Trouble::Exit => exit(7),
        Trouble::Spin => spin(),
        Trouble::Defy => defy(),
        Trouble::Print => print(),
        Trouble::Spawn => spawn(),
        Trouble::Eat => eat(),
    }
}

pub fn segfault() {
    // SAFETY: there is none: nothing is mapped there, so the process gets SIGSEGV, which is what is wanted.
    unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) }
}

pub fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn defy() -> ! {
    // SAFETY: to ignore a signal runs no code.
    if let Err(error) = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) } {
        panic!("SIGTERM cannot be ignored: {error}");
    }
    spin()
}

/// Until nobody reads any more.
fn print() {
    let line = [b"much ado about nothing; ".repeat(2048), b"\n".to_vec()].concat();
    let mut out = std::io::stdout().lock();
    while out.write_all(&line).is_ok() {}
}

/// In a child, which only a container's limit stops: for tests that have set one.
fn eat() {
    // It waits for the end of a line.
    let ended = Command::new("tail").args(["--lines=1", "/dev/zero"]).stdout(Stdio::null()).status();
    panic!("nobody minds what a child eats: {ended:?}");
}

fn spawn() {
    let sleep =
        Command::new("sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(error) = sleep {
        panic!("sleep cannot be started: {error}");
    }
}
