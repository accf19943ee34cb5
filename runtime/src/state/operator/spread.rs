//! Who gets which elements of an operator state.

use std::fmt;

use flott_core::id::SubtaskIndex;
use serde::{Deserialize, Serialize};

use super::Elements;

/// How the elements of an operator state are spread over the subtasks of a job that starts from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Spread {
    /// Each element goes to one subtask. With the parallelism of before each subtask gets its own; with another all
    /// elements, in order of subtasks, are cut into runs whose lengths differ by at most one.
    Split,
    /// Each subtask gets all elements of all subtasks.
    Union,
    /// All subtasks had the same elements, and each gets those of one.
    Broadcast,
}

impl Spread {
    /// What `subtask` of `subtasks` gets of what the subtasks of `before` had. Every element is given to the right number
    /// of subtasks when each of them asks for its share.
    pub fn share(self, before: &[Elements], subtask: SubtaskIndex, subtasks: u32) -> Elements {
        let (index, subtasks) = (subtask.0 as usize, subtasks as usize);
        if index >= subtasks || before.is_empty() {
            return Elements::default();
        }
        match self {
            Self::Split if before.len() == subtasks => before[index].clone(),
            Self::Split => {
                let all: usize = before.iter().map(Elements::len).sum();
                let (least, longer) = (all / subtasks, all % subtasks);
                run(before, index * least + index.min(longer), least + usize::from(index < longer))
            }
            Self::Union => run(before, 0, usize::MAX),
            Self::Broadcast => before[index % before.len()].clone(),
        }
    }
}

/// The elements of all, without the first `start`, and at most `count`.
fn run(all: &[Elements], start: usize, count: usize) -> Elements {
    let mut run = Elements::default();
    all.iter().flat_map(Elements::iter).skip(start).take(count).for_each(|element| run.push(element));
    run
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Split => "a split list",
            Self::Union => "a union list",
            Self::Broadcast => "a broadcast map",
        })
    }
}
