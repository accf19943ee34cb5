//! What must hold of a manifest before anything is restored from it.
//!
//! Time and memory grow with the size of the manifest, never with its square, and nothing recurses.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::RangeInclusive,
};

use flott_core::{
    id::{OperatorId, VertexId},
    key_group::KeyGroupRange,
};

use super::{DataPath, Manifest, ReaderSplits, SnapshotKind, StateFile, SubtaskState, VertexState, path::SHARED};

/// How large and how many the things in a manifest may be: as in job graphs, far above what there is and far below what
/// would hurt.
pub mod limits {
    use super::RangeInclusive;

    /// Subtasks of one vertex.
    pub const PARALLELISM: RangeInclusive<u32> = 1..=32_768;
    /// Vertices.
    pub const VERTICES_MAX: usize = 100_000;
    /// Operators of one vertex, and sources.
    pub const OPERATORS_MAX: usize = 200_000;
    /// State files of one subtask.
    pub const FILES_MAX: usize = 100_000;
    /// Splits of one source.
    pub const SPLITS_MAX: usize = 10_000_000;
    /// Committables.
    pub const COMMITTABLES_MAX: usize = 10_000_000;
    /// Bytes of one state file.
    pub const FILE_BYTES_MAX: u64 = 1 << 50;
    /// Bytes of the job's name and of uids.
    pub const NAME_BYTES_MAX: usize = 1 << 10;
    /// Bytes of the names of vertices and operators, which are put together.
    pub const TEXT_BYTES_MAX: usize = 1 << 16;
    /// Checkpoint ids and epochs: no job comes so far, and the one after still is a number.
    pub const ID_MAX: u64 = 1 << 60;
    /// Milliseconds since 1970: the year 9999.
    pub const TIME_MS_MAX: u64 = 253_402_300_799_999;
}

/// The first thing found wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ManifestError {
    field: String,
    problem: String,
}

impl ManifestError {
    #[cold]
    pub(crate) fn new(field: fmt::Arguments<'_>, problem: impl fmt::Display) -> Self {
        Self { field: field.to_string(), problem: problem.to_string() }
    }

    /// Where, as a path into the manifest: `vertices[3].parallelism`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong, and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// Checks that the parts of a manifest fit together.
///
/// # Errors
/// The first problem, in the order of the fields.
pub fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    text(format_args!("job_name"), &manifest.job_name, limits::NAME_BYTES_MAX)?;
    within(format_args!("checkpoint"), manifest.checkpoint.0, 1..=limits::ID_MAX)?;
    within(format_args!("epoch"), manifest.epoch.0, 0..=limits::ID_MAX)?;
    within(format_args!("triggered_ms"), manifest.triggered_ms, 0..=limits::TIME_MS_MAX)?;
    within(format_args!("completed_ms"), manifest.completed_ms, 0..=limits::TIME_MS_MAX)?;
    let known = check_vertices(manifest)?;
    check_sources(manifest, &known)?;
    check_committables(manifest, &known)
}

/// What other parts refer to.
struct Known<'a> {
    vertices: HashMap<VertexId, &'a VertexState>,
    operators: HashMap<OperatorId, VertexId>,
}

fn check_vertices(manifest: &Manifest) -> Result<Known<'_>, ManifestError> {
    count(format_args!("vertices"), manifest.vertices.len(), limits::VERTICES_MAX)?;
    let mut known = Known { vertices: HashMap::new(), operators: HashMap::new() };
    let mut files = HashMap::new();
    for (at, vertex) in manifest.vertices.iter().enumerate() {
        if known.vertices.insert(vertex.id, vertex).is_some() {
            return Err(ManifestError::new(
                format_args!("vertices[{at}].id"),
                format_args!("{} is there twice", vertex.id),
            ));
        }
        text(format_args!("vertices[{at}].name"), &vertex.name, limits::TEXT_BYTES_MAX)?;
        check_operators(at, vertex, &mut known.operators)?;
        check_parallelism(at, vertex)?;
        check_key_groups(at, vertex)?;
        for (index, subtask) in vertex.subtasks.iter().enumerate() {
            let field = format_args!("vertices[{at}].subtasks[{index}].files");
            check_files(field, manifest.kind, &subtask.files, &mut files)?;
            let field = format_args!("vertices[{at}].subtasks[{index}].in_flight");
            check_files(field, manifest.kind, &subtask.in_flight, &mut files)?;
        }
    }
    for (at, vertex) in manifest.vertices.iter().enumerate() {
        for (index, subtask) in vertex.subtasks.iter().enumerate() {
            check_readers(format_args!("vertices[{at}].subtasks[{index}].splits"), vertex.id, subtask, &known)?;
        }
    }
    Ok(known)
}

fn check_operators(
    at: usize,
    vertex: &VertexState,
    known: &mut HashMap<OperatorId, VertexId>,
) -> Result<(), ManifestError> {
    if vertex.operators.is_empty() {
        return Err(ManifestError::new(format_args!("vertices[{at}].operators"), "must not be empty"));
    }
    count(format_args!("vertices[{at}].operators"), vertex.operators.len(), limits::OPERATORS_MAX)?;
    for (index, operator) in vertex.operators.iter().enumerate() {
        let field = format_args!("vertices[{at}].operators[{index}]");
        text(format_args!("{field}.name"), &operator.name, limits::TEXT_BYTES_MAX)?;
        if let Some(uid) = &operator.uid {
            text(format_args!("{field}.uid"), uid, limits::NAME_BYTES_MAX)?;
            if OperatorId::from_uid(uid) != operator.id {
                let problem = format_args!("{} is not the id of the uid {:?}", operator.id, shown(uid));
                return Err(ManifestError::new(format_args!("{field}.id"), problem));
            }
        }
        if known.insert(operator.id, vertex.id).is_some() {
            return Err(ManifestError::new(format_args!("{field}.id"), format_args!("{} is there twice", operator.id)));
        }
    }
    Ok(())
}

fn check_parallelism(at: usize, vertex: &VertexState) -> Result<(), ManifestError> {
    let field = format_args!("vertices[{at}].parallelism");
    within(field, vertex.parallelism, limits::PARALLELISM)?;
    if vertex.parallelism > vertex.max_parallelism.get() {
        let problem = format_args!("{} exceeds the maximum parallelism {}", vertex.parallelism, vertex.max_parallelism);
        return Err(ManifestError::new(field, problem));
    }
    if vertex.subtasks.len() != vertex.parallelism as usize {
        let problem =
            format_args!("{} entries, expected {}, one per subtask", vertex.subtasks.len(), vertex.parallelism);
        return Err(ManifestError::new(format_args!("vertices[{at}].subtasks"), problem));
    }
    Ok(())
}

fn check_key_groups(at: usize, vertex: &VertexState) -> Result<(), ManifestError> {
    let all = KeyGroupRange::all(vertex.max_parallelism);
    let mut ranges: Vec<(KeyGroupRange, usize)> = Vec::new();
    for (index, range) in vertex.subtasks.iter().enumerate().filter_map(|(at, subtask)| Some((at, subtask.key_groups?)))
    {
        if !all.contains(range.end()) {
            let field = format_args!("vertices[{at}].subtasks[{index}].key_groups");
            let problem = format_args!("{} is not among the {} key groups", range.end(), vertex.max_parallelism);
            return Err(ManifestError::new(field, problem));
        }
        ranges.push((range, index));
    }
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        let ((one, first), (other, second)) = (pair[0], pair[1]);
        if one.intersection(other).is_some() {
            let field = format_args!("vertices[{at}].subtasks[{second}].key_groups");
            let problem = format_args!("{}-{} overlaps with those of subtask {first}", other.start(), other.end());
            return Err(ManifestError::new(field, problem));
        }
    }
    Ok(())
}

/// Checks the files of one subtask; `seen` are those of all.
fn check_files<'a>(
    field: fmt::Arguments<'_>,
    kind: SnapshotKind,
    files: &'a [StateFile],
    seen: &mut HashMap<&'a DataPath, &'a StateFile>,
) -> Result<(), ManifestError> {
    count(field, files.len(), limits::FILES_MAX)?;
    let mut own = HashSet::new();
    for (at, file) in files.iter().enumerate() {
        let shared = file.path.as_str().strip_prefix(SHARED).is_some_and(|rest| rest.starts_with('/'));
        let expected = match kind {
            SnapshotKind::Checkpoint if !shared => Some("is not in \"shared/\", where those of checkpoints are"),
            SnapshotKind::Savepoint if file.path.as_str().contains('/') => {
                Some("is not beside the savepoint's manifest")
            }
            SnapshotKind::Checkpoint | SnapshotKind::Savepoint => None,
        };
        if let Some(problem) = expected {
            return Err(ManifestError::new(
                format_args!("{field}[{at}].path"),
                format_args!("{} {problem}", file.path),
            ));
        }
        if !own.insert(&file.path) {
            return Err(ManifestError::new(
                format_args!("{field}[{at}].path"),
                format_args!("{} is there twice", file.path),
            ));
        }
        within(format_args!("{field}[{at}].bytes"), file.bytes, 1..=limits::FILE_BYTES_MAX)?;
        if *seen.entry(&file.path).or_insert(file) != file {
            let problem = format_args!("{} is elsewhere said to have other bytes or another checksum", file.path);
            return Err(ManifestError::new(format_args!("{field}[{at}]"), problem));
        }
    }
    Ok(())
}

/// Checks what the readers of one subtask had left.
fn check_readers(
    field: fmt::Arguments<'_>,
    vertex: VertexId,
    subtask: &SubtaskState,
    known: &Known<'_>,
) -> Result<(), ManifestError> {
    count(field, subtask.splits.len(), limits::OPERATORS_MAX)?;
    let mut seen = HashSet::new();
    for (at, ReaderSplits { source, splits }) in subtask.splits.iter().enumerate() {
        let field = format_args!("{field}[{at}]");
        if known.operators.get(source) != Some(&vertex) {
            return Err(ManifestError::new(
                format_args!("{field}.source"),
                format_args!("{source} is no operator of the vertex"),
            ));
        }
        if !seen.insert(source) {
            return Err(ManifestError::new(format_args!("{field}.source"), format_args!("{source} is there twice")));
        }
        count(format_args!("{field}.splits"), splits.len(), limits::SPLITS_MAX)?;
    }
    Ok(())
}

fn check_sources(manifest: &Manifest, known: &Known<'_>) -> Result<(), ManifestError> {
    count(format_args!("sources"), manifest.sources.len(), limits::OPERATORS_MAX)?;
    let mut seen = HashSet::new();
    for (at, source) in manifest.sources.iter().enumerate() {
        let field = format_args!("sources[{at}].source");
        if !known.operators.contains_key(&source.source) {
            return Err(ManifestError::new(field, format_args!("{} is no operator of a vertex", source.source)));
        }
        if !seen.insert(source.source) {
            return Err(ManifestError::new(field, format_args!("{} is there twice", source.source)));
        }
        count(format_args!("sources[{at}].splits"), source.splits.len(), limits::SPLITS_MAX)?;
    }
    Ok(())
}

fn check_committables(manifest: &Manifest, known: &Known<'_>) -> Result<(), ManifestError> {
    count(format_args!("committables"), manifest.committables.len(), limits::COMMITTABLES_MAX)?;
    for (at, committable) in manifest.committables.iter().enumerate() {
        if !known.operators.contains_key(&committable.sink) {
            let problem = format_args!("{} is no operator of a vertex", committable.sink);
            return Err(ManifestError::new(format_args!("committables[{at}].sink"), problem));
        }
        if !known.vertices.contains_key(&committable.attempt.vertex) {
            let problem = format_args!("{} is no vertex", committable.attempt.vertex);
            return Err(ManifestError::new(format_args!("committables[{at}].vertex"), problem));
        }
        let subtasks = 0..=limits::PARALLELISM.end() - 1;
        within(format_args!("committables[{at}].subtask"), committable.attempt.subtask.0, subtasks)?;
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn text(field: fmt::Arguments<'_>, text: &str, bytes_max: usize) -> Result<(), ManifestError> {
    if text.len() > bytes_max {
        return Err(ManifestError::new(field, format_args!("{} bytes, expected at most {bytes_max}", text.len())));
    }
    Ok(())
}

fn count(field: fmt::Arguments<'_>, count: usize, max: usize) -> Result<(), ManifestError> {
    if count > max {
        return Err(ManifestError::new(field, format_args!("{count} entries, expected at most {max}")));
    }
    Ok(())
}

fn within<T: PartialOrd + fmt::Display>(
    field: fmt::Arguments<'_>,
    number: T,
    range: RangeInclusive<T>,
) -> Result<(), ManifestError> {
    if !range.contains(&number) {
        let problem = format_args!("{number} is not between {} and {}", range.start(), range.end());
        return Err(ManifestError::new(field, problem));
    }
    Ok(())
}
