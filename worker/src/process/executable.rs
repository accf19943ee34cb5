//! Whether a file can run on this machine, told before it is tried: the C library hands what the kernel refuses to a
//! shell, which makes nonsense of it.

use std::{fs::File, io::Read, path::Path};

use flott_core::failure::Failure;

/// Up to the machine of an ELF header.
const HEADER_BYTES: usize = 20;
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Checks the beginning of `file` against that of the program which runs now.
pub(super) fn check(program: &str, file: &Path) -> Result<(), Failure> {
    let header = header_of(file).map_err(|error| {
        Failure::environment(format!("{program} cannot be read in the TaskManager's work directory")).caused_by(&error)
    })?;
    let own = header_of(Path::new("/proc/self/exe")).unwrap_or_default();
    check_header(&header, &own)
        .map_err(|why| Failure::user(format!("{program} is not an executable for this machine")).because(why).fatal())
}

fn header_of(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::new();
    File::open(file)?.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    Ok(header)
}

fn check_header(header: &[u8], own: &[u8]) -> Result<(), String> {
    if header.starts_with(b"#!") {
        return Ok(());
    }
    if !header.starts_with(ELF_MAGIC) {
        return Err("it is neither an ELF program nor a script that begins with #!".into());
    }
    let Some(kind) = kind_of(header) else {
        return Err("it is cut off within its header".into());
    };
    match kind_of(own) {
        Some(own) if own != kind => Err(format!("it is for {}, and this machine runs {}", name_of(kind), name_of(own))),
        _ => Ok(()),
    }
}

/// Word size, byte order and machine.
type Kind = (u8, u8, [u8; 2]);

fn kind_of(header: &[u8]) -> Option<Kind> {
    Some((*header.get(4)?, *header.get(5)?, header.get(18..HEADER_BYTES)?.try_into().ok()?))
}

/// Numbers are those of the ELF specification.
fn name_of((word, order, machine): Kind) -> String {
    let number = if order == 2 { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    let name = match number {
        3 => "x86",
        21 => "ppc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86-64",
        183 => "aarch64",
        243 => "riscv",
        258 => "loongarch",
        _ => return format!("machine number {number}"),
    };
    let bits = if word == 2 { 64 } else { 32 };
    format!("{name} ({bits} bit)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(word: u8, machine: u16) -> Vec<u8> {
        let mut header = [ELF_MAGIC, &[word, 1], &[0; 12]].concat();
        header.extend(machine.to_le_bytes());
        header
    }

    #[track_caller]
    fn check(header: &[u8], expected: Result<(), &str>) {
        assert_eq!(check_header(header, &elf(2, 62)), expected.map_err(str::to_owned));
    }

    #[test]
    fn programs_for_this_machine_and_scripts_pass() {
        check(&elf(2, 62), Ok(()));
        check(b"#!/bin/sh", Ok(()));
    }

    #[test]
    fn others_are_named() {
        check(&elf(2, 183), Err("it is for aarch64 (64 bit), and this machine runs x86-64 (64 bit)"));
        check(&elf(1, 3), Err("it is for x86 (32 bit), and this machine runs x86-64 (64 bit)"));
        check(&elf(2, 9999), Err("it is for machine number 9999, and this machine runs x86-64 (64 bit)"));
        check(b"PK\x03\x04", Err("it is neither an ELF program nor a script that begins with #!"));
        check(b"", Err("it is neither an ELF program nor a script that begins with #!"));
        check(b"\x7fELF\x02\x01", Err("it is cut off within its header"));
    }
}
