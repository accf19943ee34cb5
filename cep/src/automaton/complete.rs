//! Matches, those that they rule out, and what never became one.

use std::{cmp::Reverse, collections::BTreeSet};

use flott::Data;

use super::{Automaton, Found, Target};
use crate::{
    found::Match,
    runs::{Broken, Complete, NodeId, Partial, Runs},
    skip::Skip,
};

/// Events by their places, with the pattern that each is for; oldest first.
type Path = Vec<(u64, u16)>;

fn path<T>(runs: &Runs<T>, last: NodeId) -> Path {
    let mut path: Path = runs.path(Some(last)).map(|(node, event)| (event.sequence, node.name)).collect();
    path.reverse();
    path
}

impl<T: Data> Automaton<T> {
    /// Gives the matches that have become complete, and those that had to wait for others.
    pub(super) fn complete(
        &self,
        runs: &mut Runs<T>,
        completed: Vec<Complete>,
        found: &mut Found<T>,
    ) -> Result<(), Broken> {
        if completed.is_empty() && runs.completed.is_empty() {
            return Ok(());
        }
        let completed = self.in_order(runs, completed)?;
        if self.skip == Skip::No {
            return completed.into_iter().try_for_each(|complete| self.give(runs, complete, found));
        }
        runs.completed.extend(completed);
        // Those that were complete earlier stay before others that began with the same event.
        runs.completed.sort_by_key(|complete| complete.first.sequence);
        while let Some(&complete) = runs.completed.first() {
            let began = complete.first.sequence;
            if runs.partials.iter().any(|partial| partial.first.sequence < began) {
                break;
            }
            runs.completed.remove(0);
            let bound = self.skipped_below(runs, complete);
            self.give(runs, complete, found)?;
            Self::drop_below(runs, bound)?;
        }
        Ok(())
    }

    /// Matches that are complete at once in the order in which they are given; each once, should a group have made it in
    /// several ways.
    fn in_order(&self, runs: &mut Runs<T>, completed: Vec<Complete>) -> Result<Vec<Complete>, Broken> {
        if completed.len() < 2 {
            return Ok(completed);
        }
        let with_path = |complete: Complete| (complete, path(runs, complete.node));
        let mut ordered: Vec<(Complete, Path)> = completed.into_iter().map(with_path).collect();
        ordered.sort_by(|(a, a_path), (b, b_path)| {
            let key = |complete: &Complete, path: &Path| (complete.first.sequence, Reverse(path.len()));
            key(a, a_path).cmp(&key(b, b_path)).then_with(|| a_path.cmp(b_path))
        });
        let mut once: Vec<(Complete, Path)> = Vec::with_capacity(ordered.len());
        for (complete, path) in ordered {
            if once.last().is_some_and(|(_, last)| *last == path) {
                runs.release(complete.node)?;
            } else {
                once.push((complete, path));
            }
        }
        Ok(once.into_iter().map(|(complete, _)| complete).collect())
    }

    fn give(&self, runs: &mut Runs<T>, complete: Complete, found: &mut Found<T>) -> Result<(), Broken> {
        found.matches.push(Match::new(&self.names, runs, complete.node));
        runs.release(complete.node)
    }

    /// What begins before this event is given up for `complete`.
    fn skipped_below(&self, runs: &Runs<T>, complete: Complete) -> u64 {
        let mut path = runs.path(Some(complete.node)).map(|(node, event)| (node.name, event.sequence));
        match self.skip {
            Skip::No => 0,
            Skip::ToNext => complete.first.sequence + 1,
            Skip::PastLastEvent => path.next().map_or(0, |(_, last)| last + 1),
            Skip::ToFirst(name) => path.filter(|(known, _)| *known == name).last().map_or(0, |(_, first)| first),
            Skip::ToLast(name) => path.find(|(known, _)| *known == name).map_or(0, |(_, last)| last),
        }
    }

    fn drop_below(runs: &mut Runs<T>, bound: u64) -> Result<(), Broken> {
        let mut dropped = Vec::new();
        runs.partials.retain(|partial| {
            let stays = partial.first.sequence >= bound;
            if !stays {
                dropped.push(partial.node);
            }
            stays
        });
        runs.completed.retain(|complete| {
            let stays = complete.first.sequence >= bound;
            if !stays {
                dropped.push(complete.node);
            }
            stays
        });
        dropped.into_iter().try_for_each(|node| runs.release(node))
    }

    /// The time of `up` has come: some are complete by that. Events of the others are told, once for all ways in which
    /// they might have gone on, unless some way is still open, or they were a match already.
    pub(super) fn time_out(&self, runs: &mut Runs<T>, up: Vec<Partial>, found: &mut Found<T>) -> Result<(), Broken> {
        let (mut completed, mut others) = (Vec::new(), Vec::new());
        for partial in up {
            let Partial { gap, node, first, .. } = partial;
            if self.gap(gap)?.to == Target::Deadline {
                completed.push(Complete { node, first });
            } else {
                others.push(partial);
            }
        }
        let mut told: BTreeSet<NodeId> = completed.iter().map(|complete| complete.node).collect();
        runs.are_matches(&told);
        told.extend(runs.partials.iter().map(|partial| partial.node));
        // A snapshot of an earlier build may have several nodes for what groups have come to in several ways.
        let mut paths = BTreeSet::new();
        for Partial { node, matched, .. } in others {
            if !matched && told.insert(node) && (!self.grouped || paths.insert(path(runs, node))) {
                found.timed_out.push(Match::new(&self.names, runs, node));
            }
            runs.release(node)?;
        }
        self.complete(runs, completed, found)
    }
}
