//! Cutting cables, and mending them.

use super::Lab;
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink;
use halfopen_net::{Carrier, Direction};

impl Lab {
    /// Cuts the cable between `near` and `far`; without `far`, the only cable
    /// of `near`. `direction` is seen from `near`: [`Direction::From`] drops what
    /// `near` sends.
    ///
    /// With [`Carrier::Kept`] frames are dropped in the wire, and neither end can
    /// tell. With [`Carrier::Lost`] the near end loses carrier, and nothing passes
    /// in either direction, whatever `direction` says; the far end keeps its
    /// carrier, as it does behind a switch or a media converter. The near node has
    /// reacted (neighbour entries evicted, queues stopped: linkwatch_do_dev()) when
    /// this returns. Cutting a cable again replaces the first cut.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for nodes or a cable that the lab does not have,
    /// [`LabError::Plan`] without `far` when `near` has several cables.
    pub fn cut(
        &mut self,
        near: &str,
        far: Option<&str>,
        direction: Direction,
        carrier: Carrier,
    ) -> Result<EffectiveAt, LabError> {
        let (cable, side) = self.topology.cable(near, far)?;
        let lost = carrier == Carrier::Lost;
        let ports = &mut self.cables[cable].ports;
        ports[side].cut = lost || matches!(direction, Direction::Both | Direction::From);
        ports[1 - side].cut = lost || matches!(direction, Direction::Both | Direction::To);
        let at = EffectiveAt::around(|| {
            self.apply_blocks(&[cable])?;
            self.set_carrier(cable, side, !lost)?;
            self.set_carrier(cable, 1 - side, true)
        })?;
        let name = self.topology.cable_name(cable);
        let how = match (carrier, direction) {
            (Carrier::Lost, _) => format!(", {near} without carrier"),
            (Carrier::Kept, Direction::Both) => String::new(),
            (Carrier::Kept, Direction::From) => format!(" from {near}"),
            (Carrier::Kept, Direction::To) => format!(" to {near}"),
        };
        Ok(self.log(at, format!("cut {name}{how}")))
    }

    /// Mends the cable: packets pass in both directions, both ends have carrier.
    ///
    /// # Errors
    /// As [`Lab::cut`].
    pub fn mend(&mut self, near: &str, far: Option<&str>) -> Result<EffectiveAt, LabError> {
        let (cable, side) = self.topology.cable(near, far)?;
        for port in &mut self.cables[cable].ports {
            port.cut = false;
        }
        let at = EffectiveAt::around(|| {
            self.set_carrier(cable, side, true)?;
            self.set_carrier(cable, 1 - side, true)?;
            self.apply_blocks(&[cable])
        })?;
        Ok(self.log(at, format!("mend {}", self.topology.cable_name(cable))))
    }

    /// Sets the wire's port at one end up or down, which gives or takes carrier
    /// there.
    fn set_carrier(&mut self, cable: usize, side: usize, carrier: bool) -> Result<(), LabError> {
        let port = &mut self.cables[cable].ports[side];
        let Some(ifindex) = port.ifindex else {
            return Ok(());
        };
        if port.down != carrier {
            return Ok(());
        }
        port.down = !carrier;
        let mut batch = Batch::default();
        let what = format!("set port {} of the wire", port.name);
        batch.push(
            &self.wire_socket,
            rtnetlink::set_link(ifindex, carrier, None),
            0,
            what,
        );
        batch.run()?;
        self.settle(&[self.topology.cables[cable].ends[side].node])
    }
}
