//! Cutting cables, and mending them.

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::live::Lab;
use super::message;
use super::netlink::Batch;
use halfopen_net::{Carrier, Direction};

impl Lab {
    /// Cuts the cable between `near` and `far`; without `far`, the only cable
    /// of `near`. Directions are seen from `near`.
    ///
    /// With [`Carrier::Lost`] the near end loses carrier, and nothing passes
    /// either way, whatever the direction; the far end keeps its carrier, as
    /// it does behind a switch or a media converter. The near node has taken
    /// notice (neighbour entries evicted, queues stopped) when this returns.
    /// Cutting a cable again replaces the first cut.
    ///
    /// # Errors
    /// For nodes or a cable that the lab does not have.
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
        EffectiveAt::around(|| {
            self.apply_blocks(&[cable])?;
            self.set_carrier(cable, side, !lost)?;
            self.set_carrier(cable, 1 - side, true)
        })
    }

    /// Mends the cable: packets pass both ways, both ends have carrier.
    ///
    /// # Errors
    /// For nodes or a cable that the lab does not have.
    pub fn mend(&mut self, near: &str, far: Option<&str>) -> Result<EffectiveAt, LabError> {
        let (cable, side) = self.topology.cable(near, far)?;
        for port in &mut self.cables[cable].ports {
            port.cut = false;
        }
        EffectiveAt::around(|| {
            self.set_carrier(cable, side, true)?;
            self.set_carrier(cable, 1 - side, true)?;
            self.apply_blocks(&[cable])
        })
    }

    /// Gives or takes carrier at one end, by the wire's port there.
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
            message::set_link(ifindex, carrier, None),
            0,
            what,
        );
        self.netlink.run(batch)?;
        self.settle(&[self.topology.cables[cable].ends[side].node])
    }
}
