//! Comparison of an answer with a recorded one: field names, nesting and JSON types.

use serde_json::Value;

/// Objects at these places are maps: their keys are data, their values are alike.
const MAPS: [&str; 6] = [
    "accumulator-results",
    "failureLabels",
    "user-config",
    "serialized-user-task-accumulators",
    "$.vertices",
    "$.slots",
];

pub fn golden(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// Every difference between the shapes, by path. `absent` names fields of the recording that Flott does not have.
pub fn differences(recorded: &Value, answer: &Value, absent: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    compare("$", recorded, answer, absent, &mut found);
    found
}

fn compare(path: &str, recorded: &Value, answer: &Value, absent: &[&str], found: &mut Vec<String>) {
    match (recorded, answer) {
        (Value::Object(recorded), Value::Object(answer)) => {
            if MAPS.iter().any(|map| path.ends_with(map)) {
                return;
            }
            for (key, value) in recorded {
                match answer.get(key) {
                    Some(other) => compare(&format!("{path}.{key}"), value, other, absent, found),
                    None if absent.contains(&key.as_str()) => {}
                    None => found.push(format!("{path}.{key} is missing")),
                }
            }
            let more = answer.keys().filter(|key| !recorded.contains_key(*key));
            found.extend(more.map(|key| format!("{path}.{key} is not in the recording")));
        }
        (Value::Array(recorded), Value::Array(answer)) => {
            // Elements may have optional fields: one of the recorded elements must match.
            for (i, element) in answer.iter().enumerate() {
                let attempts = recorded.iter().map(|like| {
                    let mut attempt = Vec::new();
                    compare(&format!("{path}[{i}]"), like, element, absent, &mut attempt);
                    attempt
                });
                if let Some(best) = attempts.min_by_key(Vec::len) {
                    found.extend(best);
                }
            }
        }
        _ if kind(recorded) == kind(answer) => {}
        _ => found.push(format!("{path} is {} and not {}", kind(answer), kind(recorded))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
