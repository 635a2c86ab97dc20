//! What is impaired in a lab: one entry for each direction of a cable.

use crate::error::LabError;
use crate::filter::{Clsact, Qdiscs, RuleId, TcRuleId};
use crate::impair::{Means, Relay};
use crate::namespace::Namespace;
use halfopen_net::{ImpairBy, Impairment};

/// The impairments of a lab's cables.
#[derive(Default)]
pub(super) struct Impaired {
    pub ways: Vec<Way>,
    pub next_id: u64,
    qdiscs: Option<Qdiscs>,
    clsact: Option<Clsact>,
    /// Whether the kernel has netem, once that was tried.
    pub netem: Option<bool>,
    /// Relays of directions that are no longer impaired, while frames are still
    /// in them.
    pub draining: Vec<Relay>,
}

/// One direction of a cable that is impaired, or prepared for it.
pub(super) struct Way {
    pub id: u64,
    pub cable: usize,
    /// The sending end: frames enter the wire there.
    pub side: usize,
    pub line: Impairment,
    pub by: ImpairBy,
    pub means: Means,
    /// The relay, and the index of the device that leads to it.
    pub relay: Option<(Relay, u32)>,
    pub rules: Vec<RuleId>,
    pub filters: Vec<TcRuleId>,
    pub active: bool,
}

/// A cable that [`Lab::impair`](crate::Lab::impair) impaired:
/// [`Lab::heal_impairment`](crate::Lab::heal_impairment) takes it.
#[derive(Debug)]
#[non_exhaustive]
pub struct BadLine {
    pub(super) ids: Vec<u64>,
    /// The mechanisms in use: `netem`, `relay`, `nft`, `cls_bpf`, `tbf`, joined by
    /// `and`.
    pub mechanism: String,
}

impl Impaired {
    pub fn index_of(&self, id: u64) -> Option<usize> {
        self.ways.iter().position(|way| way.id == id)
    }

    /// The queueing disciplines of the wire, opened when first needed.
    pub fn qdiscs(&mut self, wire: &Namespace) -> Result<&mut Qdiscs, LabError> {
        Ok(match &mut self.qdiscs {
            Some(open) => open,
            none => none.insert(Qdiscs::open(wire)?),
        })
    }

    /// The tc filters of the wire, opened when first needed.
    pub fn clsact(&mut self, wire: &Namespace) -> Result<&mut Clsact, LabError> {
        Ok(match &mut self.clsact {
            Some(open) => open,
            none => none.insert(Clsact::open(wire)?),
        })
    }
}
