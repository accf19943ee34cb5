//! `flott info` and `flott plan`.

use std::path::Path;

use anyhow::Context;
use flott_core::{
    config::{Configuration, keys},
    job_graph::plan,
    message::PlanRequest,
};

use serde_json::json;

use crate::{
    arguments::{Arguments, Plan, Program, WritePlan},
    exit::{Code, CommandResult},
    output,
    planner::{self, Planned},
    settings::Settings,
    state_dir::StateDir,
};

/// Plans the program of a command.
pub async fn planned(program: &Program, settings: &Settings, state: &StateDir) -> anyhow::Result<Planned> {
    let (name, arguments) = program.program.split_first().context(
        "which program? give the path of an executable built with the flott crate, and after it the program's arguments",
    )?;
    let request = PlanRequest {
        job: None,
        name: program.name.clone(),
        entry: program.entry.clone(),
        configuration: job_configuration(&settings.given),
    };
    let timeout = settings.config.get(&keys::client::TIMEOUT);
    planner::plan(Path::new(name), arguments, &request, state, timeout).await
}

/// What of the client's settings goes with a job: all but secrets, which are for clusters and would be readable to
/// whoever may read the job.
pub fn job_configuration(given: &Configuration) -> std::collections::BTreeMap<String, String> {
    let shown = given.shown().zip(given.entries());
    shown.filter(|(shown, real)| shown == real).map(|(_, (key, value))| (key.to_owned(), value.to_owned())).collect()
}

/// The `-D` settings that stand for other options of a program.
pub fn implied(program: &Program) -> Vec<String> {
    program.parallelism.iter().map(|n| format!("{}={n}", keys::pipeline::DEFAULT_PARALLELISM.key())).collect()
}

/// `flott info`
pub async fn info(arguments: &Arguments, options: &Plan) -> CommandResult {
    let settings = Settings::load_with(arguments, &implied(&options.program))?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let planned = planned(&options.program, &settings, &state).await?;
    let default = settings.config.get(&keys::pipeline::DEFAULT_PARALLELISM);
    eprintln!("----------------------- Execution Plan -----------------------");
    println!("{}", plan::info_plan(&planned.graph, default));
    eprintln!("--------------------------------------------------------------");
    Ok(Code::Done)
}

/// `flott plan`
pub async fn write(arguments: &Arguments, options: &WritePlan) -> CommandResult {
    let settings = Settings::load_with(arguments, &implied(&options.program))?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let planned = planned(&options.program, &settings, &state).await?;
    let shown = options.output.display();
    tokio::fs::write(&options.output, &planned.document).await.with_context(|| format!("cannot write {shown}"))?;
    let graph = &planned.graph;
    if options.json.json {
        let vertices = graph.vertices.len();
        output::json(
            &json!({ "jobid": graph.job_id, "name": graph.name, "vertices": vertices, "file": options.output }),
        )?;
    } else {
        eprintln!("flott: wrote {shown}: job {} with {} vertices", graph.job_id, graph.vertices.len());
    }
    Ok(Code::Done)
}
