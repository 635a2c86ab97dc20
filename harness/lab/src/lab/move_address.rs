//! An address that moves to another host of its LAN, as a virtual IP does when
//! its owner fails.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::announcement::announcement;
use super::{Lab, is_of};
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use crate::netlink::route::Batch;
use crate::netlink::rtnetlink;
use halfopen_net::Family;
use halfopen_sys::packet::send_frame;

impl Lab {
    /// Moves the first address of `from` in this family to `to`, on the same LAN.
    /// With `announced` the new owner tells its neighbours (gratuitous ARP, RFC 5227
    /// section 2.3; unsolicited neighbour advertisement, RFC 4861 section 7.2.6);
    /// without, neighbours send to the old owner's MAC address until their entry is
    /// stale and probed. The connections of `from` do not move.
    ///
    /// A host that reboots has its own addresses again.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for hosts that the lab does not have,
    /// [`LabError::Down`] for one that is down, [`LabError::Plan`] when they are not
    /// on one LAN or `from` has no address of this family.
    pub fn move_address(
        &mut self,
        from: &str,
        to: &str,
        family: Family,
        announced: bool,
    ) -> Result<EffectiveAt, LabError> {
        let (old, new) = (self.topology.node(from)?, self.topology.node(to)?);
        let of_family = |(address, _): &(IpAddr, u8)| is_of(*address, family);
        let (old_interface, address) = self.topology.nodes[old]
            .interfaces
            .iter()
            .find_map(|i| Some((i, *i.addresses.iter().find(|a| of_family(a))?)))
            .ok_or_else(|| LabError::Plan(format!("{from} has no address that could move")))?;
        let (position, new_interface) = self.topology.nodes[new]
            .interfaces
            .iter()
            .enumerate()
            .find(|(_, i)| i.segment == old_interface.segment && new != old)
            .ok_or_else(|| LabError::Plan(format!("{from} and {to} are not on one LAN")))?;
        let mut batch = Batch::default();
        let removed = Message::DelAddress(rtnetlink::address(old_interface.ifindex, address));
        let what = format!("remove {} from {from}", address.0);
        let missing = &[libc::EADDRNOTAVAIL];
        batch.push_tolerant(&self.running(old)?.socket, removed, 0, what, missing);
        let added = Message::NewAddress(rtnetlink::address(new_interface.ifindex, address));
        let what = format!("add {} to {to}", address.0);
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        batch.push(&self.running(new)?.socket, added, flags, what);
        let (ifindex, interface) = (new_interface.ifindex, new_interface.name.as_str());
        let frame = announced.then(|| announcement(address.0, self.mac(new, position)));
        let at = EffectiveAt::around(|| {
            batch.run()?;
            if let IpAddr::V6(v6) = address.0 {
                self.wait_joined(new, &[(interface, v6.octets())])?;
            }
            let Some(frame) = frame else { return Ok(()) };
            let what = || format!("announce {} from {to}", address.0);
            let flags = SockFlag::SOCK_CLOEXEC;
            let raw = self
                .enter(to, || {
                    socket(AddressFamily::Packet, SockType::Raw, flags, None)
                })?
                .map_err(|e| LabError::system(what(), e))?;
            send_frame(&raw, ifindex, &frame).map_err(|e| LabError::system(what(), e))
        })?;
        Ok(self.log(at, format!("move {} from {from} to {to}", address.0)))
    }
}
