//! What the steps and events of one case refer to: network, lanes, marks. The decoders
//! of lanes and events share it and add their marks; the catalogue makes and checks it.

use crate::case::{Family, Network};
use crate::yaml::{Decoder, Node};

mod mark;
mod timing;

pub use mark::{Marks, Setter, Waiter};
pub use timing::{Timing, check_timings};

/// What the steps and events of one case refer to.
#[derive(Debug)]
pub struct Scene {
    /// The network.
    pub network: Network,
    /// The address family.
    pub family: Family,
    /// Names of all lanes.
    pub lanes: Vec<String>,
    /// The marks.
    pub marks: Marks,
    /// `nat:` has a mistake: whether a router has a service is not known.
    pub nat_is_wrong: bool,
}

impl Scene {
    /// Reads the name of one of the lanes.
    pub fn lane<'a>(&self, dec: &Decoder<'a, '_>, node: &'a Node) -> Option<String> {
        dec.known(node, "lane", self.lanes.iter().map(String::as_str))
    }
}
