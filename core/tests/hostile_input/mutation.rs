//! Damage to bytes, repeatable by two numbers.

/// Bytes that mean something to one of the decoders.
const TELLING: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
    b"0",
    b"-1",
    b"1e999",
    b"32769",
    b"18446744073709551616",
    b"null",
    b"true",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"[[[[[[[[",
    b"\xc3\x28",
];

/// Makes one mutation.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The mutation of that number of that seed.
    pub fn new(seed: u32, number: u32) -> Self {
        Self { state: u64::from(seed) << 32 | u64::from(number) }
    }

    /// The next number of a splitmix sequence.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`; 0 where there is none.
    fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }

    /// A piece of `bytes`, up to 64 long.
    fn piece(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len());
        start..(start + self.below(65)).min(bytes.len())
    }

    /// `seed` with one to four changes; some bring in parts of `other`.
    pub fn mutate(mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let piece = self.piece(&bytes);
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[piece.start] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[piece.start] = self.draw() as u8,
                2 => drop(bytes.drain(piece)),
                3 => bytes.truncate(piece.start),
                4 => {
                    let copy = bytes[piece].to_vec();
                    let at = self.below(bytes.len() + 1);
                    drop(bytes.splice(at..at, copy));
                }
                5 => {
                    let from = self.piece(other);
                    drop(bytes.splice(piece, other[from].iter().copied()));
                }
                _ => {
                    let telling = TELLING[self.below(TELLING.len())];
                    let end = piece.end.min(piece.start + telling.len());
                    drop(bytes.splice(piece.start..end, telling.iter().copied()));
                }
            }
        }
        bytes
    }
}
