//! What parallelism a running job is asked for, and whether it may have it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, VertexId},
    job_graph::{
        JobVertex, Parallelism,
        scale::{ParallelismBounds, Scale, VertexScale},
    },
    resource::ResourceProfile,
    view::VertexRescaleView,
};

use crate::{
    error::JobMasterError,
    execution_graph::{Overrides, Resolved},
    slot_pool::SlotSharing,
    spec::JobSpec,
};

/// A change of parallelism that is asked for. What it does not name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RescaleRequest {
    /// Of every vertex that has no parallelism of its own, but that of the job.
    pub parallelism: Option<u32>,
    /// Of single vertices; these come before.
    pub vertices: BTreeMap<VertexId, ParallelismBounds>,
}

/// Why the parallelism cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RescaleError {
    /// The job has no such vertex.
    #[error("the job has no vertex {0}")]
    UnknownVertex(VertexId),
    /// More at least than at most.
    #[error("the requested lower bound {lower} of vertex {vertex:?} is higher than its upper bound {upper}")]
    Bounds {
        /// Name.
        vertex: String,
        /// At least.
        lower: u32,
        /// At most.
        upper: u32,
    },
    /// All vertices name their own.
    #[error(
        "every vertex of the job has a parallelism of its own in the program, so a parallelism of the job changes none; name vertices"
    )]
    NothingOpen,
    /// Nothing was asked for.
    #[error("no parallelism was asked for: name one for the job, or for vertices of it")]
    Nothing,
    /// The numbers do not fit the graph.
    #[error(transparent)]
    Graph(#[from] JobMasterError),
}

impl From<RescaleError> for Failure {
    fn from(error: RescaleError) -> Self {
        Self::user(error.to_string()).fatal()
    }
}

/// What a rescale has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescaled {
    /// Vertices whose parallelism is another now.
    pub vertices: Vec<VertexRescaleView>,
    /// The checkpoint that the job went on from; nothing if there was nothing to do.
    pub checkpoint: Option<CheckpointId>,
    /// Milliseconds in which not all tasks ran.
    pub pause_ms: u64,
}

/// Numbers for all vertices of a job, checked.
#[derive(Debug, Clone)]
pub struct Target {
    /// With these numbers.
    pub resolved: Resolved,
    /// The same, to be kept.
    pub scale: Scale,
}

impl Target {
    /// The job as it is now.
    pub fn current(resolved: &Resolved, bounds: &BTreeMap<VertexId, ParallelismBounds>) -> Scale {
        let vertices = resolved.vertices.values().map(|vertex| {
            let bounds = bounds.get(&vertex.id).copied();
            let scale = VertexScale {
                parallelism: vertex.parallelism,
                max_parallelism: vertex.max_parallelism,
                bounds: bounds.unwrap_or(ParallelismBounds::exactly(vertex.parallelism)),
            };
            (vertex.id, scale)
        });
        Scale { vertices: vertices.collect() }
    }

    /// What `request` makes of `current`: as many as may be of each vertex that it names, and of others what there is.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn new(spec: &JobSpec, current: &Scale, request: &RescaleRequest) -> Result<Self, RescaleError> {
        let mut scale = current.clone();
        let mut asked: BTreeSet<VertexId> = request.vertices.keys().copied().collect();
        if request.parallelism.is_none() && request.vertices.is_empty() {
            return Err(RescaleError::Nothing);
        }
        if let Some(parallelism) = request.parallelism {
            // A plan names the default where it was known; it is no vertex's own then.
            let is_open = |vertex: &&JobVertex| match vertex.parallelism {
                Parallelism::Default => true,
                Parallelism::Fixed(parallelism) => parallelism == spec.default_parallelism,
            };
            let open = spec.graph.vertices.iter().filter(is_open);
            let mut open = open.map(|vertex| vertex.id).peekable();
            if open.peek().is_none() && request.vertices.is_empty() {
                return Err(RescaleError::NothingOpen);
            }
            for id in open {
                if let Some(vertex) = scale.vertices.get_mut(&id) {
                    vertex.bounds = ParallelismBounds::exactly(parallelism);
                    asked.insert(id);
                }
            }
        }
        for (id, bounds) in &request.vertices {
            scale.vertices.get_mut(id).ok_or(RescaleError::UnknownVertex(*id))?.bounds = *bounds;
        }
        for vertex in &spec.graph.vertices {
            let Some(entry) = scale.vertices.get_mut(&vertex.id) else { continue };
            let ParallelismBounds { lower, upper } = entry.bounds;
            let name = || vertex.name.clone();
            if lower > upper {
                return Err(RescaleError::Bounds { vertex: name(), lower, upper });
            }
            if lower == 0 {
                let max = entry.max_parallelism;
                return Err(JobMasterError::Parallelism { vertex: name(), parallelism: 0, max }.into());
            }
            if !(lower..=upper).contains(&entry.parallelism) || asked.contains(&vertex.id) {
                entry.parallelism = upper;
            }
        }
        let resolved = Resolved::with(&spec.graph, spec.default_parallelism, &Overrides::of(&scale))?;
        Ok(Self { resolved, scale })
    }

    /// How many slots of each profile it takes.
    pub fn slots(&self) -> BTreeMap<ResourceProfile, u32> {
        let sharing = SlotSharing::new(&self.resolved);
        let mut slots = BTreeMap::new();
        for slot in sharing.keys() {
            *slots.entry(sharing.slot(slot).profile).or_default() += 1;
        }
        slots
    }

    /// The most that `slots` suffice for within the bounds; nothing if they do not suffice for the least.
    pub fn fitted(&self, spec: &JobSpec, slots: &BTreeMap<ResourceProfile, u32>) -> Option<Self> {
        let wanted = self.scale.vertices.values().map(|vertex| vertex.bounds.upper).max().unwrap_or(1);
        // Two subtasks of a vertex share no slot.
        let given = slots.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        (1..=wanted.min(given)).rev().find_map(|level| {
            let mut scale = self.scale.clone();
            for vertex in scale.vertices.values_mut() {
                vertex.parallelism = level.clamp(vertex.bounds.lower, vertex.bounds.upper);
            }
            // Bounds of vertices that need equal numbers may leave no equal ones at this level.
            let resolved = Resolved::with(&spec.graph, spec.default_parallelism, &Overrides::of(&scale)).ok()?;
            let fitted = Self { resolved, scale };
            suffice(slots, &fitted.slots()).then_some(fitted)
        })
    }

    /// Vertices whose parallelism is another than in `before`.
    pub fn changes(&self, before: &Resolved) -> Vec<VertexRescaleView> {
        let pairs = before.vertices.values().zip(self.resolved.vertices.values());
        let changed = pairs.filter(|(before, after)| before.parallelism != after.parallelism);
        let view =
            |(before, after): (&crate::execution_graph::Vertex, &crate::execution_graph::Vertex)| VertexRescaleView {
                id: after.id,
                name: after.name.clone(),
                before: before.parallelism,
                after: after.parallelism,
            };
        changed.map(view).collect()
    }
}

/// Whether the slots that are `given` are as many as are wanted, of each profile.
pub fn suffice(given: &BTreeMap<ResourceProfile, u32>, wanted: &BTreeMap<ResourceProfile, u32>) -> bool {
    wanted.iter().all(|(profile, count)| given.get(profile).is_some_and(|given| given >= count))
}
