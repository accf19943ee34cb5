//! State files that are not what was written, found when tasks read them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use flott_tests::{
    book::lines_in,
    eventually::{PATIENCE, eventually},
    plain::{RECORDS, records_read},
    program::test_program,
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};
use serde_json::Value;

/// A job that has read half of its records, and two checkpoints of it: one before all of these were read, and one after.
struct Damaged<'a> {
    sandbox: &'a Sandbox,
    session: Session<'a>,
    job: String,
    taken: [u64; 2],
}

impl<'a> Damaged<'a> {
    /// Where so many are kept; in each file that the second alone has, a bit is another.
    fn start(sandbox: &'a Sandbox, retained: u32) -> Self {
        sandbox.configure(&format!(
            "execution.checkpointing.dir: {}\nexecution.checkpointing.interval: 0 ms\n\
             execution.checkpointing.num-retained: {retained}",
            sandbox.at("checkpoints")
        ));
        let session = sandbox.session(&[]);
        let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
        let arguments =
            ["held".to_owned(), format!("records={RECORDS}"), format!("hold={hold}"), format!("output={out}")];
        let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
        session.until_all_run(&job);
        let take = || {
            let taken = sandbox.flott(["checkpoint", &job, "--json"]).success().json();
            taken["checkpoint"].as_u64().expect("a number")
        };
        let first = take();
        let before = state_files(sandbox);
        eventually("half of the records to be read", PATIENCE, || {
            let read = records_read(&session, &job);
            if read == RECORDS / 2 { Ok(()) } else { Err(read) }
        });
        let second = take();
        for file in state_files(sandbox).difference(&before) {
            let mut content = fs::read(file).unwrap();
            content[20] ^= 1;
            fs::write(file, content).unwrap();
        }
        Process::kill_all(&sandbox.running(Role::JobProcess));
        Self { sandbox, session, job, taken: [first, second] }
    }

    fn failures(&self) -> String {
        Value::from(self.session.exceptions(&self.job)).to_string()
    }
}

fn state_files(sandbox: &Sandbox) -> BTreeSet<PathBuf> {
    let jobs = fs::read_dir(sandbox.at("checkpoints")).unwrap().flatten();
    jobs.flat_map(|job| fs::read_dir(job.path().join("shared")).unwrap().flatten()).map(|file| file.path()).collect()
}

#[test]
fn a_job_goes_back_to_the_checkpoint_before_one_that_is_damaged_and_says_so() {
    let sandbox = Sandbox::new();
    let job = Damaged::start(&sandbox, 2);
    let [first, second] = job.taken;
    eventually("the first checkpoint to be restored", PATIENCE, || {
        let checkpoints = job.session.get(&format!("/v1/jobs/{}/checkpoints", job.job));
        let restored = checkpoints["latest"]["restored"]["id"].clone();
        if restored == first { Ok(()) } else { Err(format!("{restored}: {}", job.failures())) }
    });
    let told = job.failures();
    assert!(told.contains(&format!("checkpoint {second} is damaged")) && told.contains("checksum"), "{told}");
    let checkpoints = job.session.get(&format!("/v1/jobs/{}/checkpoints", job.job));
    let (latest, failed) = (&checkpoints["latest"]["completed"], &checkpoints["latest"]["failed"]);
    assert_eq!((&latest["id"], &failed["id"]), (&first.into(), &second.into()), "{checkpoints}");
    assert!(failed["failure_message"].as_str().is_some_and(|why| why.contains("checksum")), "{failed}");
    fs::write(sandbox.at("hold"), "").unwrap();
    job.session.finished(&job.job);
    // Each key with each of its counts; what the second had made visible is there twice.
    let lines: BTreeSet<String> = lines_in(&job.sandbox.at("out")).into_iter().collect();
    assert_eq!(lines.len() as u64, RECORDS);
    job.session.stop();
}

#[test]
fn a_job_that_has_no_other_checkpoint_ends() {
    let sandbox = Sandbox::new();
    let job = Damaged::start(&sandbox, 1);
    eventually("the job to fail", PATIENCE, || {
        let state = job.session.get(&format!("/v1/jobs/{}", job.job))["state"].clone();
        if state == "FAILED" { Ok(()) } else { Err(format!("{state}: {}", job.failures())) }
    });
    let told = job.failures();
    let wanted = [&format!("checkpoint {} is damaged", job.taken[1]), "no other checkpoint is whole", "num-retained"];
    assert!(wanted.iter().all(|wanted| told.contains(wanted)), "{told}");
    job.session.stop();
}
