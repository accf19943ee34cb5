//! The arithmetic under the stable hash: folded multiplications.
//!
//! Multiplying two 64-bit words to 128 bits and xoring the halves spreads every input bit over the whole word in one
//! multiplication (3 to 4 cycles). Hash functions of the wyhash family are made of it; constants and schedule here are
//! our own. There is no secret in it: whoever picks the keys can make them collide, as with Flink's hash.
//!
//! Changing a constant or a step moves every key to another group and breaks all stored state.

/// Odd words with half of their bits set, out of the fractional digits of the square roots of 2, 3, 5 and 7.
const K: [u64; 4] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

/// Where every hash starts.
pub(super) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// `state` after one word.
#[inline(always)]
pub(super) fn word(state: u64, word: u64) -> u64 {
    fold(state ^ word, K[0])
}

/// The hash, from the state after everything.
///
/// One fold for each word leaves keys such as `n << 16` or `n * 1000` up to thirty times as uneven as dice in some bits,
/// depending on the constant; with one more at the end none of the patterns in the tests can be told from dice.
#[inline(always)]
pub(super) fn finish(state: u64) -> u64 {
    fold(state, K[3])
}

#[inline(always)]
fn pair(state: u64, a: u64, b: u64) -> u64 {
    fold(a ^ K[1] ^ state, b ^ K[2])
}

/// `state` after a string of bytes; its length counts, so that `("ab", "c")` and `("a", "bc")` differ.
#[inline(always)]
pub(super) fn bytes(state: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let state = state ^ (length as u64).wrapping_mul(K[3]);
    // Two words that overlap in the middle cover short strings without a loop over bytes.
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        if length > 16 {
            return long(state, bytes);
        }
        let (head, tail) = ends(bytes, *first, *last);
        return pair(state, head, tail);
    }
    match bytes {
        [] => pair(state, 0, 0),
        [a] => pair(state, u64::from(*a), 0),
        [a, b] => pair(state, u64::from(*a) | u64::from(*b) << 8, 0),
        [a, b, c, ..] => pair(state, u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16, 0),
    }
}

/// The words at both ends of 4 to 16 bytes: of eight bytes or, where there are fewer, of the four that are `first` and
/// `last`.
///
/// Most strings have around eight bytes, so that of branches on their lengths every other would be guessed wrongly, which
/// takes longer than all else. So a word is put together of halves, and a half that is not wanted is read and masked.
#[inline(always)]
fn ends(bytes: &[u8], first: [u8; 4], last: [u8; 4]) -> (u64, u64) {
    let wide = usize::from(bytes.len() >= 8);
    let half = |bytes: [u8; 4]| u64::from(u32::from_le_bytes(bytes));
    let half_at = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| half(*bytes));
    let wanted = (wide as u64).wrapping_neg();
    let head = half(first) | (half_at(4 * wide) << 32 & wanted);
    let tail = (half_at(bytes.len().wrapping_sub(8) * wide) & wanted) | half(last) << (32 * wide);
    (head, tail)
}

/// For more than 16 bytes. Two lanes, so that one multiplication need not wait for the other.
#[inline(never)]
fn long(state: u64, bytes: &[u8]) -> u64 {
    let (mut left, mut right) = (state, state ^ K[0]);
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        left = pair(left, read(block, 0), read(block, 8));
        right = pair(right, read(block, 16), read(block, 24));
        rest = after;
    }
    if rest.len() > 16
        && let Some(head) = rest.first_chunk::<16>()
    {
        left = pair(left, read(head, 0), read(head, 8));
    }
    // The last 16 bytes, read over what has been read already where fewer are left.
    if let Some(tail) = bytes.last_chunk::<16>() {
        right = pair(right, read(tail, 0), read(tail, 8));
    }
    fold(left ^ K[0], right ^ K[3])
}

#[inline(always)]
fn read<const N: usize>(block: &[u8; N], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&block[at..at + 8]);
    u64::from_le_bytes(word)
}
