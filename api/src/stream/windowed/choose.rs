//! Which operator runs.

use std::any::TypeId;

use flott_core::job_graph::OperatorKind;
use flott_runtime::{
    batch::{Data, Key},
    time::TimeDomain,
};

use super::{Stream, WindowedStream};
use crate::{
    operator::{
        Emit, Evicting, Fold, Folding, Gathering, Pair, Pairing, PaneFunction, Shape, SliceSpec, SliceWindows, Whole,
        WindowSpec, Windows,
    },
    plan::{Body, Node, OneInput},
    window::{EventTimeTrigger, ProcessingTimeTrigger, TaggedUnion, Trigger, WindowAssigner},
};

impl<K, T, A, Tr> WindowedStream<K, T, A, Tr>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    /// Windows whose records are folded as they come. This is the one place where it is decided how that is done: `fold`
    /// and `emit` are all that any operator needs, with the assigner's [`aligned`](WindowAssigner::aligned) windows and
    /// their trigger, lateness and side output.
    pub(in crate::stream) fn folded<F, E>(&self, fold: F, emit: E) -> Stream<E::Out>
    where
        F: Fold<K, T>,
        E: Emit<K, A::Window, F::Bare>,
    {
        if let Some((shape, domain)) = self.shape() {
            let lateness_ms = if domain == TimeDomain::Event { self.lateness_ms } else { 0 };
            let spec = SliceSpec { shape, domain, lateness_ms, fold, emit, late: self.late.clone() };
            let keys = self.keys.clone();
            let make = move |site: &_| SliceWindows::<K, T, A::Window, F, E>::new(spec.clone(), keys.clone(), site);
            return self.then(OneInput::<T, E::Out, _>::body(make));
        }
        let function = Folding { fold, emit };
        match &self.evictor {
            Some(evictor) => self.then(self.general(Evicting { function, evictor: evictor.clone() })),
            None => self.then(self.general(function)),
        }
    }

    /// How windows lie whose records can be folded by slices, and in which kind of time: the same for all keys, and with results
    /// when time has passed them, and not before.
    fn shape(&self) -> Option<(Shape, TimeDomain)> {
        if self.evictor.is_some() || self.assigner.merges() {
            return None;
        }
        let aligned = self.assigner.aligned()?;
        let at_the_end = match aligned.domain {
            TimeDomain::Event => TypeId::of::<EventTimeTrigger>(),
            TimeDomain::Processing => TypeId::of::<ProcessingTimeTrigger>(),
        };
        if TypeId::of::<Tr>() != at_the_end {
            return None;
        }
        Some((Shape::of(aligned)?, aligned.domain))
    }

    /// Windows that keep all their records until they fire.
    pub(in crate::stream) fn gathered<F>(&self, function: F) -> Stream<F::Out>
    where
        F: Whole<K, T, A::Window>,
    {
        match &self.evictor {
            Some(evictor) => self.then(self.general(Evicting { function, evictor: evictor.clone() })),
            None => self.then(self.general(Gathering(function))),
        }
    }

    /// The operator that does windows of any kind.
    fn general<P: PaneFunction<K, T, A::Window>>(&self, function: P) -> Body {
        let spec = WindowSpec {
            assigner: self.assigner.clone(),
            trigger: self.trigger.clone(),
            function,
            lateness_ms: self.lateness_ms,
            late: self.late.clone(),
        };
        let keys = self.keys.clone();
        OneInput::<T, P::Out, _>::body(move |site| Windows::new(spec.clone(), keys.clone(), site))
    }

    fn then<U: Data>(&self, body: Body) -> Stream<U> {
        let inputs = vec![self.stream.origins.clone()];
        let mut node = Node::new(OperatorKind::Operator, "Window", inputs, body);
        node.name = name(&self.assigner.describe()).to_owned();
        node.detail = format!("{} {}", super::super::detail::<T, U>(), self.describe());
        node.single = self.single;
        let env = self.stream.env.clone();
        let node = env.add(node);
        Stream::of(env, node)
    }
}

/// What the assigner is called, without its numbers.
fn name(description: &str) -> &str {
    description.split('(').next().unwrap_or(description)
}

impl<K, A, B, G, Tr> WindowedStream<K, TaggedUnion<A, B>, G, Tr>
where
    K: Key,
    A: Data,
    B: Data,
    G: WindowAssigner<TaggedUnion<A, B>>,
    Tr: Trigger<TaggedUnion<A, B>, G::Window>,
{
    /// Windows that keep the records of two streams until they fire.
    pub(in crate::stream) fn paired<F>(&self, function: F) -> Stream<F::Out>
    where
        F: Pair<K, G::Window, A, B>,
    {
        let function = Pairing(function);
        match &self.evictor {
            Some(evictor) => self.then(self.general(Evicting { function, evictor: evictor.clone() })),
            None => self.then(self.general(function)),
        }
    }
}
