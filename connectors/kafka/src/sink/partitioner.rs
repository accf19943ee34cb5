//! Which partition a record goes to.

use super::KafkaMessage;

/// Chooses partitions of one topic for the records of one writer.
pub trait Partitioner: Send + Sync + 'static {
    /// The partition of a record that names none: one of `partitions`, which is not empty and in order. `round` grows by one
    /// with each batch of records that is sent.
    fn partition(&self, message: &KafkaMessage, partitions: &[i32], round: u64) -> i32;
}

/// As Kafka's own clients do: by the hash of the key (murmur2), so that others who write the same keys find the same
/// partitions; without a key, all records of a batch go to one partition, and the next batch to the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultPartitioner;

impl Partitioner for DefaultPartitioner {
    fn partition(&self, message: &KafkaMessage, partitions: &[i32], round: u64) -> i32 {
        let count = partitions.len() as u64;
        let place = match &message.key {
            Some(key) => u64::from(murmur2(key) & 0x7fff_ffff) % count,
            None => round % count,
        };
        partitions[place as usize]
    }
}

impl<F> Partitioner for F
where
    F: Fn(&KafkaMessage, &[i32]) -> i32 + Send + Sync + 'static,
{
    fn partition(&self, message: &KafkaMessage, partitions: &[i32], _: u64) -> i32 {
        self(message, partitions)
    }
}

/// MurmurHash2 in 32 bits with the seed that Kafka's clients take.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ (data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    for (place, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * place);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Kafka's own clients are tested with.
    #[test]
    fn keys_hash_as_those_of_kafkas_clients() {
        let cases: [(&[u8], i32); 5] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key).cast_signed(), expected, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn records_without_a_key_stay_together_for_a_round() {
        let message = KafkaMessage::new("x");
        let of = |round| DefaultPartitioner.partition(&message, &[0, 1, 2], round);
        assert_eq!([of(0), of(0), of(1), of(3)], [0, 0, 1, 0]);
    }
}
