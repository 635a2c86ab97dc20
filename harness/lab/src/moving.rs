//! An address that moves to another host of its LAN, as a virtual IP does when
//! its owner fails, and what the new owner says about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::effective_at::EffectiveAt;
use super::error::LabError;
use super::live::{Lab, is_of};
use super::message::{self, Mac};
use super::netlink::Batch;
use halfopen_net::Family;
use halfopen_sys::packet::send_frame;

impl Lab {
    /// The first address of `from` in this family is removed there and given
    /// to `to`, on the same LAN. With `announced` the new owner tells everybody
    /// (gratuitous ARP, RFC 5227 2.3; unsolicited neighbour advertisement, RFC
    /// 4861 7.2.6); without, neighbours send to the old owner's MAC until their
    /// entry has aged. The connections of `from` do not move.
    ///
    /// A host that reboots has its own addresses again.
    ///
    /// # Errors
    /// For hosts that the lab does not have, that are down, or that are not on
    /// one LAN.
    pub fn move_address(
        &mut self,
        from: &str,
        to: &str,
        family: Family,
        announced: bool,
    ) -> Result<EffectiveAt, LabError> {
        let (old, new) = (self.topology.node(from)?, self.topology.node(to)?);
        let of_family = |(address, _): &(IpAddr, u8)| is_of(*address, family);
        let (gone, address) = self.topology.nodes[old]
            .interfaces
            .iter()
            .find_map(|i| Some((i, *i.addresses.iter().find(|a| of_family(a))?)))
            .ok_or_else(|| LabError::Plan(format!("{from} has no address that could move")))?;
        let (position, taker) = self.topology.nodes[new]
            .interfaces
            .iter()
            .enumerate()
            .find(|(_, i)| i.segment == gone.segment && new != old)
            .ok_or_else(|| LabError::Plan(format!("{from} and {to} are not on one LAN")))?;
        let mut batch = Batch::default();
        let removed = Message::DelAddress(message::address(gone.ifindex, address));
        let what = format!("remove {} from {from}", address.0);
        let missing = &[libc::EADDRNOTAVAIL];
        batch.push_tolerant(&self.running(old)?.socket, removed, 0, what, missing);
        let added = Message::NewAddress(message::address(taker.ifindex, address));
        let what = format!("add {} to {to}", address.0);
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        batch.push(&self.running(new)?.socket, added, flags, what);
        let (ifindex, interface) = (taker.ifindex, taker.name.as_str());
        let frame = announced.then(|| announcement(address.0, self.mac(new, position)));
        EffectiveAt::around(|| {
            self.netlink.run(batch)?;
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
        })
    }
}

/// What tells neighbours that `mac` has the address now.
fn announcement(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(address, mac),
        IpAddr::V6(address) => unsolicited_advertisement(address, mac),
    }
}

/// An ARP request for one's own address, to everybody (RFC 5227 3).
fn gratuitous_arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x08, 0x06]);
    // Ethernet, IPv4, six and four bytes, request.
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// To all nodes, unsolicited, with the override flag, which makes neighbours
/// replace what they know (RFC 4861 4.4, 7.2.6).
fn unsolicited_advertisement(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    const OVERRIDE: u8 = 0x20;
    let mut message = vec![136, 0, 0, 0, OVERRIDE, 0, 0, 0];
    message.extend(address.octets());
    // Target link-layer address, one unit of eight bytes.
    message.extend([2, 1]);
    message.extend(mac);
    let sum = checksum(address, ALL_NODES, &message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);

    // The multicast address's MAC, RFC 2464 7.
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac);
    frame.extend([0x86, 0xdd]);
    // Version 6; length, ICMPv6, hop limit 255.
    frame.extend([0x60, 0, 0, 0, 0, message.len() as u8, 58, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// ICMPv6's checksum, with the pseudo-header (RFC 8200 8.1). `message` has an
/// even number of bytes.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let mut bytes = from.octets().to_vec();
    bytes.extend(to.octets());
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, 58]);
    bytes.extend(message);
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertisement_checks_out() {
        let address = Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 2);
        let frame = unsolicited_advertisement(address, [2, 0x68, 0x6f, 0, 3, 0]);
        let message = &frame[14 + 40..];
        assert_eq!(message.len(), 32);
        // Summed with its checksum in place it comes to nothing.
        let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!(checksum(address, to, message), 0);
    }

    #[test]
    fn an_announcement_asks_for_itself() {
        let frame = gratuitous_arp(Ipv4Addr::new(10, 77, 1, 2), [2, 0, 0, 0, 0, 1]);
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[28..32], frame[38..42]);
    }
}
