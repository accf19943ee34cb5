//! The examples, by themselves and on clusters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::TcpListener,
};

use flott_tests::{
    binaries::binary,
    book::{Counts, book, check_final, check_running, lines_in, spaced_words_of, word_and_count, words_of},
    program::test_program,
    sandbox::Sandbox,
};
use serde_json::Value;

fn text_of_book() -> String {
    fs::read_to_string(book()).expect("the book comes with the project")
}

/// The most lines of the book, for tests in which its length does not matter.
fn first_lines(count: usize) -> String {
    text_of_book().lines().take(count).map(|line| format!("{line}\n")).collect()
}

fn wordcount(input: &str, output: &str, more: &[&str]) -> Vec<String> {
    let words = ["--input", input, "--output", output].into_iter().chain(more.iter().copied());
    words.map(str::to_owned).collect()
}

#[test]
fn the_book_is_counted_by_the_program_itself_in_batch_mode() {
    let sandbox = Sandbox::new();
    let out = sandbox.at("out");
    sandbox.program(&binary("wordcount"), wordcount(&book(), &out, &["--mode", "batch"])).success();
    check_final(&lines_in(&out), &words_of(&text_of_book()));
}

#[test]
fn the_book_is_counted_by_the_program_itself_in_streaming_mode() {
    let sandbox = Sandbox::new();
    let out = sandbox.at("out");
    sandbox.program(&binary("wordcount"), wordcount(&book(), &out, &["--mode", "streaming"])).success();
    check_running(&lines_in(&out), &words_of(&text_of_book()));
}

#[test]
fn run_with_m_local_runs_in_the_programs_own_process() {
    let sandbox = Sandbox::new();
    let (out, program) = (sandbox.at("out"), binary("wordcount"));
    let mut line: Vec<String> = ["run", "-m", "local", "-p", "2", &program].map(str::to_owned).to_vec();
    line.extend(wordcount(&book(), &out, &["--mode", "batch"]));
    sandbox.flott(line).success();
    check_final(&lines_in(&out), &words_of(&text_of_book()));
}

#[test]
fn a_session_counts_the_book_in_both_modes_attached_and_detached() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["taskmanager.numberOfTaskSlots=2"]);
    let (batch, streaming) = (sandbox.at("batch"), sandbox.at("streaming"));
    let program = binary("wordcount");

    let attached = session.run(&["-p", "2"], &program, wordcount(&book(), &batch, &["--mode", "batch"])).success();
    attached.prints(&["Job has been submitted with JobID ", "Program execution finished", "Job Runtime: "]);
    check_final(&lines_in(&batch), &words_of(&text_of_book()));

    let arguments = wordcount(&book(), &streaming, &["--mode", "streaming"]);
    let job = session.run(&["-d", "-p", "2"], &program, arguments).success().job();
    session.finished(&job);
    check_running(&lines_in(&streaming), &words_of(&text_of_book()));
    session.stop();
}

#[test]
fn words_can_be_split_at_single_spaces() {
    let sandbox = Sandbox::new();
    let (text, out) = (first_lines(300), sandbox.at("out"));
    let input = sandbox.write("input.txt", &text);
    let arguments = wordcount(&input, &out, &["--mode", "batch", "--split", "space"]);
    sandbox.program(&binary("wordcount"), arguments).success();
    check_final(&lines_in(&out), &spaced_words_of(&text));
}

#[test]
fn files_and_directories_are_read_together() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.at("books/more")).unwrap();
    sandbox.write("books/a.txt", "one two\ntwo");
    sandbox.write("books/more/b.txt", "two three\r\nthree three\n");
    sandbox.write("books/.hidden", "never\n");
    let single = sandbox.write("single.txt", "Four, four; FOUR: four!\n");
    let (directory, out) = (sandbox.at("books"), sandbox.at("out"));
    let arguments = ["--input", &directory, &single, "--output", &out, "--mode", "batch"];
    sandbox.program(&binary("wordcount"), arguments).success();
    let expected = [("one", 1), ("two", 3), ("three", 3), ("four", 4)];
    let expected: Counts = expected.into_iter().map(|(word, count)| (word.to_owned(), count)).collect();
    check_final(&lines_in(&out), &expected);
}

#[test]
fn an_empty_input_gives_an_empty_result() {
    let sandbox = Sandbox::new();
    let (input, out) = (sandbox.write("empty.txt", ""), sandbox.at("out"));
    sandbox.program(&binary("wordcount"), wordcount(&input, &out, &["--mode", "batch"])).success();
    assert!(lines_in(&out).is_empty());
}

#[test]
fn lines_of_a_socket_are_counted_as_they_come() {
    let sandbox = Sandbox::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let program = binary("socket-wordcount");
    let mut running = sandbox.start(sandbox.command(&program, ["--host", "127.0.0.1", "--port", &port]));
    let (mut connection, _) = server.accept().unwrap();
    connection.write_all(b"to be or not to be\n").unwrap();
    // The connection is open still: what was sent must come out all the same.
    running.until_printed("be 2");
    connection.write_all(b"that is the question").unwrap();
    drop(connection);
    let outcome = running.end().success();
    let mut last = BTreeMap::new();
    for line in outcome.out.lines() {
        let line = line.split_once("> ").map_or(line, |(_, line)| line);
        let (word, count) = word_and_count(line);
        last.insert(word, count);
    }
    assert_eq!(last, words_of("to be or not to be that is the question"));
}

#[test]
fn keyed_sum_runs_by_itself_and_on_a_cluster() {
    let sandbox = Sandbox::new();
    let program = binary("keyed-sum");
    sandbox.program(&program, ["--records", "10000", "--keys", "100"]).success();
    let arguments = ["run", "-m", "cluster", "-p", "2", &program, "--records", "10000", "--keys", "100"];
    sandbox.flott(arguments).success().prints(&["Program execution finished"]);
    sandbox.until_empty();
}

#[test]
fn stream_join_joins_by_itself_and_on_a_cluster() {
    let sandbox = Sandbox::new();
    let program = binary("stream-join");
    let alone = sandbox.program(&program, [] as [&str; 0]).success();
    assert!(!alone.out.trim().is_empty(), "it shows what it has joined");
    sandbox.flott(["run", "-m", "cluster", &program]).success().prints(&["Program execution finished"]);
    sandbox.until_empty();
}

#[test]
fn orders_by_day_writes_partitions_by_itself_and_on_a_cluster() {
    let sandbox = Sandbox::new();
    let program = binary("orders-by-day");
    let orders = |output: &str| {
        let mut numbers = Vec::new();
        for day in ["2026-11-23", "2026-11-24", "2026-11-25"] {
            for country in ["de", "fr", "nl", "pl"] {
                let lines = lines_in(&format!("{output}/dt={day}/country={country}"));
                let is_row = |line: &String| line.split(',').nth(2) == Some(country);
                let (rows, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_row);
                assert!(others.iter().all(|line| line == "number,placed,country,cents,note"), "{others:?}");
                numbers.extend(rows.iter().map(|row| row.split(',').next().unwrap().parse::<u64>().unwrap()));
            }
        }
        numbers.sort_unstable();
        numbers
    };
    let (alone, together) = (sandbox.at("alone"), sandbox.at("together"));
    sandbox.program(&program, ["--output", &alone, "--records", "3000", "--batch"]).success();
    assert_eq!(orders(&alone), (0..3_000).collect::<Vec<_>>());
    let options = ["run", "-m", "cluster", "-p", "2", "-D", "execution.checkpointing.interval=50 ms"];
    let arguments = [&*program, "--output", &together, "--records", "3000", "--rate", "10000"];
    sandbox.flott(options.into_iter().chain(arguments)).success().prints(&["Program execution finished"]);
    assert_eq!(orders(&together), (0..3_000).collect::<Vec<_>>());
    sandbox.until_empty();
}

#[test]
fn a_source_is_held_back_beside_a_slow_one_in_another_process() {
    let sandbox = Sandbox::new();
    let race = sandbox.at("race");
    fs::create_dir(&race).unwrap();
    let session = sandbox.session(&["taskmanager.numberOfTaskSlots=1"]);
    let job = session.submit(&test_program(), ["race", &format!("race={race}")]);
    session.finished(&job);
    let verdict = ["held-back", "ran-ahead"].map(|verdict| fs::read_to_string(format!("{race}/{verdict}")).ok());
    assert!(matches!(verdict, [Some(_), None]), "where it was held back, and where not as it should: {verdict:?}");
    let details = session.get(&format!("/jobs/{job}"));
    let worker_of = |vertex: &Value| {
        let path = format!("/jobs/{job}/vertices/{}/taskmanagers", vertex["id"].as_str().unwrap());
        session.get(&path)["taskmanagers"][0]["taskmanager-id"].as_str().unwrap().to_owned()
    };
    let workers: BTreeSet<_> = details["vertices"].as_array().unwrap().iter().map(worker_of).collect();
    assert_eq!(workers.len(), 2, "{workers:?}");
    session.stop();
}

#[test]
fn fail_at_fails_as_often_as_it_is_told() {
    let sandbox = Sandbox::new();
    let program = binary("fail-at");
    sandbox.program(&program, ["--record", "100", "--times", "0"]).success();
    let session = sandbox.session(&[]);
    let job = session.submit(&program, ["--record", "100", "--times", "2"]);
    session.finished(&job);
    assert_eq!(session.exceptions(&job).len(), 2);

    let no_restart = ["-d", "-D", "restart-strategy.type=none"];
    let job = session.run(&no_restart, &program, ["--record", "100", "--times", "1"]).success().job();
    session.until(&job, "FAILED");
    assert_eq!(session.exceptions(&job).len(), 1);
    session.stop();
}
