//! Whether a file is a program that this host can run, from its first bytes. Pure.

/// Bytes that [`check`] wants to see, where the file has as many.
pub const HEAD: usize = 20;

/// Why a file cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutableError {
    /// Not a native executable.
    #[error("it is {0}, not an executable that was built with flott")]
    Foreign(&'static str),
    /// For another machine.
    #[error("it was built for {found}, and this host is {host}; build it for {host}")]
    Platform {
        /// What it was built for.
        found: String,
        /// What runs here.
        host: String,
    },
}

/// Checks the first bytes of a file.
///
/// # Errors
/// Says what the file is instead.
pub fn check(head: &[u8]) -> Result<(), ExecutableError> {
    let foreign = match head {
        [0x7f, b'E', b'L', b'F', ..] => return check_machine(head),
        [] => "an empty file",
        [b'P', b'K', 3 | 5 | 7, ..] => "a Java archive or another zip file",
        [0xac, 0xed, 0, 5, ..] => "a serialized Java object",
        [0xca, 0xfe, 0xba, 0xbe, ..] => "a Java class or a macOS executable",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => "a macOS executable",
        [b'M', b'Z', ..] => "a Windows executable",
        [b'#', b'!', ..] => "a script",
        _ => "a file of an unknown kind",
    };
    Err(ExecutableError::Foreign(foreign))
}

fn check_machine(head: &[u8]) -> Result<(), ExecutableError> {
    let (Some(order), Some(&[a, b])) = (head.get(5), head.get(18..20).and_then(|bytes| bytes.first_chunk())) else {
        return Err(ExecutableError::Foreign("a truncated executable"));
    };
    let machine = if *order == 2 { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) };
    let arch = match machine {
        0x03 => "x86",
        0x3e => "x86_64",
        0x28 => "arm",
        0xb7 => "aarch64",
        0xf3 => "riscv64",
        0x15 => "powerpc64",
        0x16 => "s390x",
        _ => "another machine",
    };
    if arch == std::env::consts::ARCH {
        return Ok(());
    }
    let host = flott_core::job_graph::host_target();
    Err(ExecutableError::Platform { found: format!("{arch}-{}", std::env::consts::OS), host })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u8) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        head[18] = machine;
        head
    }

    #[track_caller]
    fn check_refused(head: &[u8], expected: &str) {
        let error = check(head).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn this_very_program_can_run() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(check(&program[..HEAD]), Ok(()));
    }

    #[test]
    fn other_files_are_named() {
        check_refused(b"", "an empty file");
        check_refused(b"PK\x03\x04jar", "a Java archive");
        check_refused(b"\xac\xed\x00\x05", "a serialized Java object");
        check_refused(b"#!/bin/sh", "a script");
        check_refused(b"hello", "an unknown kind");
        check_refused(&elf(0x3e)[..10], "a truncated executable");
        let other = if std::env::consts::ARCH == "aarch64" { 0x3e } else { 0xb7 };
        check_refused(&elf(other), "and this host is");
    }
}
