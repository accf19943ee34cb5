//! Files that people hand in for a job graph by mistake.

/// How the files begin, and what they are.
const KINDS: &[(&[u8], &str)] = &[
    (&[0xac, 0xed, 0x00, 0x05], "a Java-serialised object (a plan of Flink on the JVM?)"),
    (b"rO0AB", "a Java-serialised object in Base64 (a plan of Flink on the JVM?)"),
    (&[0xca, 0xfe, 0xba, 0xbe], "a Java class or a macOS program"),
    (b"PK\x03\x04", "a zip or jar archive"),
    (b"PK\x05\x06", "an empty zip or jar archive"),
    (b"\x7fELF", "a Linux program"),
    (&[0xcf, 0xfa, 0xed, 0xfe], "a macOS program"),
    (b"MZ", "a Windows program"),
    (b"#!", "a script"),
    (&[0x1f, 0x8b], "a gzip-compressed file"),
];

/// What `bytes` are, if it shows that they cannot be JSON.
pub(super) fn recognise(bytes: &[u8]) -> Option<&'static str> {
    match bytes.trim_ascii_start().first() {
        None => Some("an empty file"),
        Some(b'{') => None,
        Some(_) => {
            let known = KINDS.iter().find(|(start, _)| bytes.starts_with(start));
            known.map(|&(_, kind)| kind).or(Some("something that does not begin with a brace"))
        }
    }
}
