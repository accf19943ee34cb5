//! Whether the latest checkpoint of a job that runs has failed, or nobody knows whether it is complete: what the job has done since
//! the last complete one would be done again. Or whether what the latest complete one holds cannot be made visible.

use flott_core::id::JobId;
use serde_json::Value;

use crate::{output, rest::Client};

/// In a line; nothing where all is well, or nothing is known.
pub async fn of_job(client: &Client, job: JobId) -> Option<String> {
    let answer = client.find(&format!("/v1/jobs/{job}/checkpoints")).await.ok()??;
    of_answer(&answer, output::local_time)
}

fn of_answer(answer: &Value, time: impl Fn(i64) -> String) -> Option<String> {
    let completed = &answer["latest"]["completed"];
    let is_later = |checkpoint: &&Value| {
        let (id, completed) = (checkpoint["id"].as_u64(), completed["id"].as_u64());
        id.is_some_and(|id| completed.is_none_or(|completed| completed <= id))
    };
    let undecided = |checkpoint: &&Value| {
        checkpoint["status"] == "IN_PROGRESS" && checkpoint["failure_message"].is_string() && is_later(checkpoint)
    };
    let undecided = answer["history"].as_array().into_iter().flatten().find(undecided);
    let (troubled, what) = match undecided {
        Some(undecided) => (undecided, "may not be complete"),
        None => match Some(&answer["latest"]["failed"]).filter(is_later) {
            Some(failed) => (failed, "has failed"),
            None => return invisible(completed),
        },
    };
    let id = troubled["id"].as_u64()?;
    let why = why(troubled).unwrap_or("nobody says why");
    let last = match (completed["id"].as_u64(), completed["latest_ack_timestamp"].as_i64()) {
        (Some(last), Some(at)) => format!("the last complete one is {last}, of {}", time(at)),
        _ => "none has been complete yet".to_owned(),
    };
    Some(format!("{id} {what}: {why}; {last}"))
}

fn invisible(completed: &Value) -> Option<String> {
    let (id, why) = (completed["id"].as_u64()?, why(completed)?);
    Some(format!("{id} is complete, and its results cannot be made visible yet: {why}"))
}

fn why(checkpoint: &Value) -> Option<&str> {
    checkpoint["failure_message"].as_str().and_then(|message| message.lines().next())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_is_told_until_a_later_one_is_complete() {
        #[track_caller]
        fn check(failed: Value, completed: Value, expected: Option<&str>) {
            let answer = json!({ "latest": { "failed": failed, "completed": completed } });
            assert_eq!(of_answer(&answer, |at| format!("<{at}>")).as_deref(), expected);
        }
        let undecided = |answer: Value| {
            let history = json!([
                { "id": 6, "status": "IN_PROGRESS" },
                { "id": 5, "status": "IN_PROGRESS", "failure_message": "no answer" },
                { "id": 3, "status": "COMPLETED" },
            ]);
            of_answer(&json!({ "latest": answer, "history": history }), |at| format!("<{at}>"))
        };
        let failed = |id: u64| json!({ "id": id, "failure_message": "disk full\nCaused by: no" });
        let completed = |id: u64| json!({ "id": id, "latest_ack_timestamp": 7 });
        check(Value::Null, Value::Null, None);
        check(Value::Null, completed(3), None);
        check(failed(2), completed(3), None);
        check(failed(2), Value::Null, Some("2 has failed: disk full; none has been complete yet"));
        let told = "3 is complete, and its results cannot be made visible yet: disk full";
        check(failed(2), json!({ "id": 3, "latest_ack_timestamp": 7, "failure_message": "disk full" }), Some(told));
        check(failed(4), completed(3), Some("4 has failed: disk full; the last complete one is 3, of <7>"));
        let told = undecided(json!({ "failed": failed(4), "completed": completed(3) }));
        assert_eq!(told.as_deref(), Some("5 may not be complete: no answer; the last complete one is 3, of <7>"));
        assert_eq!(undecided(json!({ "failed": failed(4), "completed": completed(6) })), None);
    }
}
