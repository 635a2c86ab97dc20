//! Frames that announce that an address has another MAC address now. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::netlink::rtnetlink::Mac;

/// The frame that tells neighbours that `mac` has the address now.
pub(super) fn announcement(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(address, mac),
        IpAddr::V6(address) => unsolicited_advertisement(address, mac),
    }
}

/// An ARP request for the sender's own address, broadcast (RFC 5227 section 3).
fn gratuitous_arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x08, 0x06]);
    // Ethernet, IPv4, addresses of six and four bytes, request.
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// A neighbour advertisement to all nodes, unsolicited, with the override flag,
/// which makes neighbours replace their entry (RFC 4861 sections 4.4, 7.2.6).
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

    // The multicast address's MAC address (RFC 2464 section 7).
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

/// ICMPv6's checksum, with the pseudo-header (RFC 8200 section 8.1). `message` has
/// an even number of bytes.
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
