//! `flott rescale`.

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::{
    arguments::{Arguments, Rescale},
    command::holder::holder,
    exit::{Code, CommandResult},
    operation, output,
    rest::{self, Client},
};

pub async fn run(arguments: &Arguments, options: &Rescale) -> CommandResult {
    let job = rest::job_id(&options.job)?;
    let (client, _) = holder(arguments, &options.target, job).await?;
    let as_json = options.json.json;
    let mut body = json!({ "vertices": vertices(&client, &job.to_string(), &options.vertices).await? });
    if let Some(parallelism) = options.parallelism {
        body["parallelism"] = parallelism.into();
    }
    let path = format!("/flott/v1/jobs/{job}/rescales");
    let id = operation::begin(&client, &path, &body).await?;
    if options.detached {
        if as_json {
            output::json(&json!({ "job": job, "trigger": id }))?;
        } else {
            println!("Rescaling job {job}, triggerId: {id}");
        }
        return Ok(Code::Done);
    }
    if !as_json {
        println!("Rescaling job {job}.");
        println!("Waiting for response...");
    }
    let done = operation::outcome(&client, &format!("{path}/{id}")).await?;
    let (checkpoint, pause) = (done["checkpoint-id"].as_u64(), done["pause-ms"].as_u64());
    if as_json {
        output::json(
            &json!({ "job": job, "checkpoint": checkpoint, "pause-ms": pause, "vertices": done["vertices"] }),
        )?;
        return Ok(Code::Done);
    }
    for vertex in done["vertices"].as_array().into_iter().flatten() {
        println!("{}: {} -> {}", vertex["name"].as_str().unwrap_or("?"), vertex["before"], vertex["after"]);
    }
    match checkpoint {
        Some(checkpoint) => {
            println!("Job {job} rescaled from checkpoint {checkpoint}. Pause: {} ms", pause.unwrap_or(0));
        }
        None => println!("Job {job} has this parallelism already."),
    }
    Ok(Code::Done)
}

/// What `--vertex` says, by id.
async fn vertices(client: &Client, job: &str, given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut vertices = Map::new();
    if given.is_empty() {
        return Ok(vertices);
    }
    let details: Value = client.get(&format!("/v1/jobs/{job}")).await?;
    let known = details["vertices"].as_array().map_or(&[][..], Vec::as_slice);
    for text in given {
        let (vertex, parallelism) = parsed(text)?;
        let ids: Vec<&str> = known
            .iter()
            .filter(|known| known["id"] == vertex || known["name"] == vertex)
            .filter_map(|known| known["id"].as_str())
            .collect();
        let id = match ids.as_slice() {
            [id] => *id,
            [] => bail!("the job has no vertex {vertex:?}; it has {}", names(known)),
            _ => bail!("the job has several vertices {vertex:?}; name one by its id"),
        };
        let bounds = json!({ "parallelism": { "lowerBound": parallelism, "upperBound": parallelism } });
        vertices.insert(id.to_owned(), bounds);
    }
    Ok(vertices)
}

fn parsed(text: &str) -> anyhow::Result<(&str, u32)> {
    let wrong = || format!("--vertex must be VERTEX=N, not {text:?}");
    let (vertex, parallelism) = text.rsplit_once('=').with_context(wrong)?;
    Ok((vertex, parallelism.parse().with_context(wrong)?))
}

fn names(known: &[Value]) -> String {
    let name = |vertex: &Value| {
        format!("{} ({:?})", vertex["id"].as_str().unwrap_or("?"), vertex["name"].as_str().unwrap_or("?"))
    };
    known.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parallelism_of_a_vertex_stands_behind_the_last_equals_sign() {
        assert_eq!(parsed("a=b -> c=4").unwrap(), ("a=b -> c", 4));
        for wrong in ["a", "a=", "a=-1", "a=x"] {
            assert!(parsed(wrong).unwrap_err().to_string().contains("VERTEX=N"));
        }
    }
}
