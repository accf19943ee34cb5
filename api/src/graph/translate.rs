//! Plan → stream graph: resolves settings, unfolds what batch mode adds, and finds what is wrong.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use flott_core::{
    id::OperatorId,
    job_graph::{ExecutionMode, OperatorKind, Parallelism, ShipStrategy, check::limits},
};

use super::{JobSettings, StreamEdge, StreamGraph, StreamNode, chain, identity::Identities};
use crate::{
    error::PlanError,
    plan::{BatchForm, Body, EdgeBody, Node, NodeIndex, Origin, Plan},
};

/// Turns `plan` into the graph of the job `name`.
///
/// # Errors
/// The first problem: those found while the plan was declared, then those of single operators, then those of the whole.
pub(crate) fn translate(plan: Plan, settings: &JobSettings, name: &str) -> Result<StreamGraph, PlanError> {
    if let Some(problem) = plan.problems.into_iter().next() {
        return Err(problem);
    }
    check_parallelism("the environment", settings.parallelism, settings.max_parallelism)?;
    check_whole(&plan.nodes, name)?;
    let mut translation = Translation {
        settings,
        graph: StreamGraph {
            mode: settings.mode,
            directory: settings.directory.clone(),
            nodes: Vec::with_capacity(plan.nodes.len()),
            edges: Vec::new(),
            places: BTreeMap::new(),
        },
        identities: Identities::default(),
    };
    for (index, node) in plan.nodes.into_iter().enumerate() {
        translation.add(NodeIndex(index), node)?;
    }
    let mut graph = translation.graph;
    check_forward(&graph)?;
    chain::cut(&mut graph, settings.chaining);
    Ok(graph)
}

fn check_parallelism(operator: &str, parallelism: Option<u32>, max: Option<u32>) -> Result<(), PlanError> {
    let operator = operator.to_owned();
    match (parallelism, max) {
        (Some(given), _) if !limits::PARALLELISM.contains(&given) => Err(PlanError::Parallelism { operator, given }),
        (_, Some(given)) if !limits::PARALLELISM.contains(&given) => Err(PlanError::MaxParallelism { operator, given }),
        (Some(parallelism), Some(max)) if parallelism > max => Err(PlanError::AboveMax { operator, parallelism, max }),
        _ => Ok(()),
    }
}

fn check_whole(nodes: &[Node], name: &str) -> Result<(), PlanError> {
    if nodes.is_empty() {
        return Err(PlanError::NoSources(name.to_owned()));
    }
    if !nodes.iter().any(|node| node.kind == OperatorKind::Sink) {
        return Err(PlanError::NoSinks(name.to_owned()));
    }
    let mut uids: HashMap<&str, &Node> = HashMap::new();
    let mut directories: HashMap<_, &Node> = HashMap::new();
    for node in nodes {
        if let Some(uid) = &node.uid
            && let Some(first) = uids.insert(uid, node)
        {
            let (first, second) = (first.shown_name(), node.shown_name());
            return Err(PlanError::DuplicateUid { uid: uid.clone(), first, second });
        }
        if let Some(directory) = &node.directory
            && let Some(first) = directories.insert(directory, node)
        {
            let (first, second) = (first.shown_name(), node.shown_name());
            return Err(PlanError::SameDirectory { first, second, directory: directory.clone() });
        }
        check_parallelism(&node.shown_name(), node.parallelism, node.max_parallelism)?;
        if let Some(given) = node.parallelism
            && node.single
            && given != 1
        {
            return Err(PlanError::NotParallel { operator: node.shown_name(), given });
        }
    }
    Ok(())
}

fn check_forward(graph: &StreamGraph) -> Result<(), PlanError> {
    for edge in &graph.edges {
        let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
        if edge.ship == ShipStrategy::Forward && from.parallelism != to.parallelism {
            let shown = |parallelism| match parallelism {
                Parallelism::Default => "the default".to_owned(),
                Parallelism::Fixed(number) => number.to_string(),
            };
            return Err(PlanError::Forward {
                from: from.name.clone(),
                to: to.name.clone(),
                from_parallelism: shown(from.parallelism),
                to_parallelism: shown(to.parallelism),
            });
        }
    }
    Ok(())
}

struct Translation<'a> {
    settings: &'a JobSettings,
    graph: StreamGraph,
    identities: Identities,
}

/// An edge whose consumer is still being made.
struct Input {
    from: usize,
    side: Option<Arc<str>>,
    input: u32,
    declared: Option<ShipStrategy>,
    edge: Arc<dyn EdgeBody>,
}

impl Translation<'_> {
    fn add(&mut self, index: NodeIndex, mut node: Node) -> Result<(), PlanError> {
        let is_batch = self.settings.mode == ExecutionMode::Batch;
        if is_batch && let Some(body) = node.batch_body.take() {
            node.body = body;
        }
        let place = match node.batch.take() {
            Some(form) if is_batch => self.add_unfolded(node, form),
            _ => {
                let inputs = self.inputs(&node.inputs);
                let id = self.identity(&node, &inputs);
                let parallelism = self.parallelism(&node);
                self.push(node, id, parallelism, inputs)
            }
        };
        self.graph.places.insert(index, place);
        Ok(())
    }

    fn identity(&mut self, node: &Node, inputs: &[Input]) -> OperatorId {
        let Self { graph, identities, .. } = self;
        let parts =
            inputs.iter().map(|input| (graph.nodes[input.from].id, input.input, input.side.clone(), input.declared));
        identities.of(node, parts)
    }

    fn inputs(&self, inputs: &[Vec<Origin>]) -> Vec<Input> {
        let origins = (0..).zip(inputs).flat_map(|(input, origins)| origins.iter().map(move |origin| (input, origin)));
        origins
            .filter_map(|(input, origin)| {
                // An origin stands earlier in the plan, so it has been added.
                let from = *self.graph.places.get(&origin.node)?;
                let (side, edge) = (origin.side.clone(), origin.edge.clone());
                Some(Input { from, side, input, declared: origin.ship, edge })
            })
            .collect()
    }

    fn parallelism(&self, node: &Node) -> Parallelism {
        let fixed = if node.single { Some(1) } else { node.parallelism.or(self.settings.parallelism) };
        fixed.map_or(Parallelism::Default, Parallelism::Fixed)
    }

    /// The two operators of a keyed one in batch mode.
    fn add_unfolded(&mut self, node: Node, form: BatchForm) -> usize {
        let BatchForm { inputs, combine, edge, finish } = form;
        let keyed = self.inputs(&node.inputs);
        let id = self.identity(&node, &keyed);
        let parallelism = self.parallelism(&node);
        let inputs = self.inputs(&[inputs]);
        // Combining belongs where the records are: in the task that would send them.
        let combine_parallelism = match inputs.as_slice() {
            [input] if input.declared.is_none() => self.graph.nodes[input.from].parallelism,
            _ => parallelism,
        };
        let mut combining = Node::new(OperatorKind::Operator, "Combine", Vec::new(), combine);
        combining.name = format!("Combine {}", node.name);
        combining.detail = node.detail.clone();
        combining.slot_sharing_group = node.slot_sharing_group.clone();
        combining.max_parallelism = node.max_parallelism;
        combining.chaining = node.chaining;
        let from = self.push(combining, Identities::combine(id), combine_parallelism, inputs);
        let input = Input { from, side: None, input: 0, declared: Some(ShipStrategy::Hash), edge };
        self.push(Node { body: finish, ..node }, id, parallelism, vec![input])
    }

    fn push(&mut self, node: Node, id: OperatorId, parallelism: Parallelism, inputs: Vec<Input>) -> usize {
        let place = self.graph.nodes.len();
        let name = node.shown_name();
        let Node { uid, kind, detail, max_parallelism, slot_sharing_group, chaining, body, sides, .. } = node;
        let group = slot_sharing_group.unwrap_or_else(|| self.inherited_group(&inputs));
        for Input { from, side, input, declared, edge } in inputs {
            let equal = self.graph.nodes[from].parallelism == parallelism;
            let ship = declared.unwrap_or(if equal { ShipStrategy::Forward } else { ShipStrategy::Rebalance });
            self.graph.edges.push(StreamEdge { from, side, to: place, input, ship, body: edge, index: None });
        }
        self.graph.nodes.push(StreamNode {
            id,
            uid,
            name,
            kind,
            detail,
            parallelism,
            max_parallelism: max_parallelism.or(self.settings.max_parallelism),
            group,
            chaining,
            body,
            sides,
            head: place,
        });
        place
    }

    /// The group of all inputs if they agree, as in Flink.
    fn inherited_group(&self, inputs: &[Input]) -> String {
        let mut groups = inputs.iter().map(|input| &self.graph.nodes[input.from].group);
        match groups.next() {
            Some(first) if groups.all(|group| group == first) => first.clone(),
            _ => "default".to_owned(),
        }
    }
}

impl StreamNode {
    /// Whether it has exactly one input, so that it can stand behind another operator in a chain.
    pub(super) fn takes_one_input(&self) -> bool {
        matches!(self.body, Body::One(_))
    }
}
