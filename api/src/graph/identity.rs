//! Operator ids: from the user's uid, else from the operator's place in the program.
//!
//! A place is what the operator does and what feeds it, all the way up to the sources. Names, parallelism and operators
//! elsewhere in the program do not count, so they can change. Operators that are alike in all of that are told apart by
//! the order in which they were declared.

use std::{collections::HashMap, sync::Arc};

use flott_core::{id::OperatorId, job_graph::ShipStrategy};

use crate::plan::Node;

/// Ids given so far.
#[derive(Default)]
pub(super) struct Identities {
    alike: HashMap<OperatorId, u64>,
}

impl Identities {
    /// The id of `node`, fed by `inputs`: producer, input, side output and declared strategy each.
    pub fn of(
        &mut self,
        node: &Node,
        inputs: impl Iterator<Item = (OperatorId, u32, Option<Arc<str>>, Option<ShipStrategy>)>,
    ) -> OperatorId {
        if let Some(uid) = &node.uid {
            return OperatorId::from_uid(uid);
        }
        let mut parts: Vec<Vec<u8>> = vec![node.operation.into()];
        for (producer, input, side, ship) in inputs {
            parts.push(producer.as_bytes().to_vec());
            parts.push(input.to_le_bytes().to_vec());
            parts.push(side.map_or(Vec::new(), |side| side.as_bytes().to_vec()));
            parts.push(ship.map_or("", ShipStrategy::as_str).into());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let place = OperatorId::from_structure(&parts);
        let before = self.alike.entry(place).or_default();
        let ordinal = *before;
        *before += 1;
        OperatorId::from_structure(&[place.as_bytes(), &ordinal.to_le_bytes()])
    }

    /// The id of the pre-aggregation of `operator`.
    pub fn combine(operator: OperatorId) -> OperatorId {
        OperatorId::from_structure(&[operator.as_bytes(), b"combine"])
    }
}
