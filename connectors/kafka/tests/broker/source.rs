//! Where reading begins and ends, what is passed over, and what comes later.

use std::time::Duration;

use flott::{Environment, WatermarkStrategy};
use flott_kafka::{
    Admin, Compression, KafkaMessage, KafkaSource, NewTopic, Offsets, OutOfRange, StartFrom, StopAt, Topics,
};

use crate::stand::{assert_same, env, numbers, read, servers, sink, source, topic, write};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn reading_begins_and_ends_where_it_is_told() {
    let Some(servers) = servers() else { return };
    let topic = topic(&servers, 1);
    let stamped = flott_kafka::KafkaSink::new(&servers, &topic, |text: &String| {
        Ok(KafkaMessage::new(text.clone()).timestamp_ms(text.parse::<i64>()? * 1_000))
    });
    let env = env(1);
    env.from_collection(numbers(10)).sink(stamped);
    env.execute("write").unwrap();

    let from = |start| read(source(&servers, &topic).start_from(start));
    assert_same(from(StartFrom::Earliest), numbers(10));
    assert_same(from(StartFrom::Latest), Vec::new());
    assert_same(from(StartFrom::Timestamp(6_500)), numbers(10)[7..].to_vec());
    assert_same(from(StartFrom::offsets(Offsets::new().with(&topic, 0, 4))), numbers(10)[4..].to_vec());
    assert_same(from(StartFrom::committed_or_earliest()), numbers(10));
    let ended = |stop| {
        let env = self::env(1);
        let read = env.from_source(source(&servers, &topic).stop_at(stop), "kafka").collect();
        env.execute("read").unwrap().collected(&read).unwrap()
    };
    assert_same(ended(StopAt::Timestamp(3_000)), numbers(3));
    assert_same(ended(StopAt::Offsets(Offsets::new().with(&topic, 0, 5))), numbers(5));
}

#[test]
fn keys_headers_and_timestamps_come_back_in_every_compression() {
    let Some(servers) = servers() else { return };
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let topic = topic(&servers, 2);
        let sink = flott_kafka::KafkaSink::new(&servers, &topic, |text: &String| {
            Ok(KafkaMessage::new(text.clone()).key("k").header("h", text.clone()).timestamp_ms(77))
        });
        write(sink.compression(compression), numbers(300)).unwrap();
        let whole = KafkaSource::new(&servers, topic.as_str(), |record| {
            assert_eq!((record.key().map(|key| &key[..]), record.timestamp_ms()), (Some(&b"k"[..]), 77));
            Ok(record.header("h").map(|header| String::from_utf8_lossy(header).into_owned()))
        });
        assert_same(read(whole), numbers(300));
    }
}

#[test]
fn records_may_be_passed_over_and_topics_chosen_by_name() {
    let Some(servers) = servers() else { return };
    let admin = Admin::new(&servers);
    for topic in ["chosen-a", "chosen-b", "not-chosen"] {
        admin.create(&NewTopic::new(topic, 1)).unwrap();
        write(sink(&servers, topic), texts(&[topic, "skipped"])).unwrap();
    }
    let chosen = KafkaSource::new(&servers, Topics::matching(|name| name.starts_with("chosen-")), |record| {
        let text = String::from_utf8(record.bytes().to_vec())?;
        Ok((text != "skipped").then_some(text))
    });
    assert_same(read(chosen), texts(&["chosen-a", "chosen-b"]));
}

#[test]
fn what_is_missing_is_named() {
    let Some(servers) = servers() else { return };
    let failure = |source: KafkaSource<String>| {
        let env = env(1);
        env.from_source(source.stop_at(StopAt::Offsets(Offsets::new().with("nothing", 0, 1))), "kafka").discard();
        env.execute("read").unwrap_err().to_string()
    };
    assert!(failure(source(&servers, "nothing")).contains("there is no topic \"nothing\""));
    let topic = topic(&servers, 1);
    write(sink(&servers, &topic), numbers(3)).unwrap();
    let beyond = |policy| {
        let start = StartFrom::offsets(Offsets::new().with(&topic, 0, 1_000));
        source(&servers, &topic).start_from(start).when_out_of_range(policy)
    };
    let ending = |source: KafkaSource<String>| {
        let env = env(1);
        let stop = StopAt::Offsets(Offsets::new().with(&topic, 0, 2_000));
        env.from_source(source.stop_at(stop), "kafka").discard();
        env.execute("read").unwrap_err().to_string()
    };
    let refused = ending(beyond(OutOfRange::Fail));
    assert!(refused.contains(&format!("{topic}-0 has the offsets 0 to 3, and 1000 was to be read")), "{refused}");
    // The end lies before that already.
    assert_same(read(beyond(OutOfRange::Earliest)), Vec::new());
}

/// Reads without end until it has come upon `last`, which fails the job; gives what a sink has seen until then.
fn read_until(env: &Environment, source: KafkaSource<String>, last: &str) -> Vec<String> {
    use std::sync::{Arc, Mutex};
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (into, last) = (seen.clone(), last.to_owned());
    let stream = env.from_source_with_watermarks(source, WatermarkStrategy::for_monotonous_timestamps(), "kafka");
    stream.for_each(move |text| {
        into.lock().unwrap().push(text.clone());
        assert_ne!(text, last, "that is enough");
    });
    env.set_restart_strategy(flott::RestartStrategy::None);
    env.execute("read").unwrap_err();
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn new_partitions_and_topics_are_read_from_their_beginning() {
    let Some(servers) = servers() else { return };
    let admin = Admin::new(&servers);
    admin.create(&NewTopic::new("grows-a", 1)).unwrap();
    write(sink(&servers, "grows-a"), numbers(5)).unwrap();
    let source = KafkaSource::new(&servers, Topics::matching(|name| name.starts_with("grows-")), |record| {
        Ok(Some(String::from_utf8(record.bytes().to_vec())?))
    });
    let reading = std::thread::spawn(move || {
        let env = env(2);
        read_until(&env, source.discover_each(Duration::from_millis(100)), "last")
    });
    // Whether they come to be before or after the source has listed what there is, is the same to who reads.
    admin.extend("grows-a", 3).unwrap();
    admin.create(&NewTopic::new("grows-b", 1)).unwrap();
    let to = |partition| {
        flott_kafka::KafkaSink::new(&servers, "grows-a", move |text: &String| {
            Ok(KafkaMessage::new(text.clone()).to_partition(partition))
        })
    };
    for partition in [1, 2] {
        write(to(partition), texts(&["one", "two"])).unwrap();
    }
    write(sink(&servers, "grows-b"), texts(&["b"])).unwrap();
    write(sink(&servers, "grows-b"), texts(&["last"])).unwrap();
    let found = reading.join().unwrap();
    assert!(found.contains(&"b".to_owned()) && found.contains(&"last".to_owned()), "{found:?}");
}
