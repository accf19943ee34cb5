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
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

    /// The job as it is now, as something to be aimed at.
    pub fn as_it_is(resolved: &Resolved, bounds: &BTreeMap<VertexId, ParallelismBounds>) -> Self {
        Self { scale: Self::current(resolved, bounds), resolved: resolved.clone() }
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
            let open = spec.graph.vertices.iter().filter(|vertex| is_open(vertex, spec.default_parallelism));
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
        SlotSharing::new(&self.resolved).counts()
    }

    /// The most that `slots` suffice for within the bounds; nothing if they do not suffice for the least.
    pub fn fitted(&self, spec: &JobSpec, slots: &BTreeMap<ResourceProfile, u32>) -> Option<Self> {
        let wanted = self.scale.vertices.values().map(|vertex| vertex.bounds.upper).max().unwrap_or(1);
        // Two subtasks of a vertex share no slot.
        let given = slots.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        let mut fitted = (1..=wanted.min(given)).rev().filter_map(|level| self.at_level(spec, level));
        fitted.find(|fitted| suffice(slots, &fitted.slots()))
    }

    /// Each vertex with `level` subtasks, or as near to that as its bounds allow; nothing where vertices that need equal numbers
    /// cannot have them.
    pub fn at_level(&self, spec: &JobSpec, level: u32) -> Option<Self> {
        let mut scale = self.scale.clone();
        for vertex in scale.vertices.values_mut() {
            vertex.parallelism = level.clamp(vertex.bounds.lower, vertex.bounds.upper);
        }
        let resolved = Resolved::with(&spec.graph, spec.default_parallelism, &Overrides::of(&scale)).ok()?;
        Some(Self { resolved, scale })
    }

    /// Whether some vertex may have fewer subtasks than it may have.
    pub fn has_room(&self) -> bool {
        self.scale.vertices.values().any(|vertex| vertex.bounds.lower < vertex.bounds.upper)
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

/// Whether a vertex has the parallelism of the job. A plan names the default where it was known; it is no vertex's own then.
pub fn is_open(vertex: &JobVertex, default_parallelism: u32) -> bool {
    match vertex.parallelism {
        Parallelism::Default => true,
        Parallelism::Fixed(parallelism) => parallelism == default_parallelism,
    }
}

/// Whether the slots that are `given` are as many as are wanted, of each profile.
pub fn suffice(given: &BTreeMap<ResourceProfile, u32>, wanted: &BTreeMap<ResourceProfile, u32>) -> bool {
    wanted.iter().all(|(profile, count)| given.get(profile).is_some_and(|given| given >= count))
}
