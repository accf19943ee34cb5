//! Where a job that has ended can be taken up again.

use flott_core::id::JobId;
use serde_json::Value;

use crate::rest::Client;

/// What `flott run -s` takes to go on from where `job` is or was: its latest checkpoint or savepoint that is there, else
/// what it has gone back to. Nothing, if there is none, or its cluster has just gone.
pub async fn of_job(client: &Client, job: JobId) -> Option<String> {
    let answer = client.find(&format!("/v1/jobs/{job}/checkpoints")).await.ok()??;
    of_answer(&answer)
}

fn of_answer(answer: &Value) -> Option<String> {
    let latest = &answer["latest"];
    let there = |found: &&Value| found["external_path"].is_string() && found["discarded"] == Value::Bool(false);
    let complete = [&latest["completed"], &latest["savepoint"]].into_iter().filter(there);
    let newest = complete.max_by_key(|found| found["id"].as_u64());
    let found = newest.or_else(|| Some(&latest["restored"]).filter(|restored| restored["is_savepoint"] == true))?;
    found["external_path"].as_str().map(str::to_owned)
}

/// The line that tells it.
pub fn line(path: &str) -> String {
    format!("Its latest state is {path}; `flott run -s {path} …` goes on from there.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_that_is_there_counts() {
        #[track_caller]
        fn check(completed: Value, savepoint: Value, restored: Value, expected: Option<&str>) {
            let answer = json!({ "latest": { "completed": completed, "savepoint": savepoint, "restored": restored } });
            assert_eq!(of_answer(&answer).as_deref(), expected);
        }
        let complete =
            |id: u64, path: &str, discarded: bool| json!({ "id": id, "external_path": path, "discarded": discarded });
        let restored = |path: &str| json!({ "id": 1, "external_path": path, "is_savepoint": true });
        let none = || Value::Null;
        check(none(), none(), none(), None);
        check(none(), none(), restored("/r"), Some("/r"));
        check(complete(10, "/c", false), complete(9, "/s", false), none(), Some("/c"));
        check(complete(9, "/c", false), complete(10, "/s", false), restored("/r"), Some("/s"));
        check(complete(10, "/c", true), complete(9, "/s", false), none(), Some("/s"));
        check(complete(10, "/c", true), none(), none(), None);
    }
}
