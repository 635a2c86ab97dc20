//! What the steps and events of one case refer to: network, lanes, marks.

use crate::case::{Family, Network};
use crate::yaml::{Decoder, Node};
mod mark;
mod timing;
pub use mark::{Marks, Setter, Waiter};
pub use timing::{Timing, check_timings};

/// What the steps and events of one case refer to.
#[derive(Debug)]
pub struct Scene {
    /// Where it happens.
    pub network: Network,
    /// The address family.
    pub family: Family,
    /// Names of all lanes.
    pub lanes: Vec<String>,
    /// Marks, and who waits for them.
    pub marks: Marks,
}

impl Scene {
    /// The name of one of the lanes.
    pub fn lane<'a>(&self, dec: &Decoder<'a, '_>, node: &'a Node) -> Option<String> {
        dec.known(node, "lane", self.lanes.iter().map(String::as_str))
    }
}
