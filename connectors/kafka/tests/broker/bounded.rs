//! What is written is read.

use crate::stand::{assert_same, numbers, read, servers, sink, source, topic, write};

#[test]
fn what_a_job_writes_another_reads() {
    let Some(servers) = servers() else { return };
    let topic = topic(&servers, 3);
    write(sink(&servers, &topic), numbers(5_000)).unwrap();
    assert_same(read(source(&servers, &topic)), numbers(5_000));
}

#[test]
fn transactions_of_a_job_that_ends_are_committed() {
    let Some(servers) = servers() else { return };
    let topic = topic(&servers, 3);
    write(sink(&servers, &topic).exactly_once("bounded"), numbers(5_000)).unwrap();
    assert_same(read(source(&servers, &topic)), numbers(5_000));
}
