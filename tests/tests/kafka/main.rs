//! From Kafka to Kafka, each record once: on clusters of real processes that are killed, with a real broker. Skipped aloud where
//! there is no Java, or no jars.

mod changes;
mod kills;
mod stand;
mod takeover;
