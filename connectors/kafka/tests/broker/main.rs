//! Sources and sinks against a real broker, in jobs that run in this process. Skipped aloud where there is no Java or no jars.

mod bounded;
mod skipped;
mod source;
mod stand;
