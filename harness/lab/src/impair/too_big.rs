//! The answer to a packet that exceeds the MTU: ICMP "fragmentation needed"
//! (RFC 1191 section 4) and ICMPv6 "packet too big" (RFC 4443 section 3.2). Pure.
//!
//! The wire has no address, so the answer's source is the packet's destination, as
//! it is in a firewall's answers.

use super::frame::ETHERNET;

/// How many bytes of the packet are quoted: enough for its TCP header.
const QUOTE: usize = 64;
const IPV4: usize = 20;
const IPV6: usize = 40;
const ICMP: usize = 8;

/// The frame that tells the sender of `frame` the MTU. None for packets that no
/// router answers: IPv4 packets that may be fragmented, and ICMP.
pub(super) fn answer(frame: &[u8], mtu: u32) -> Option<Vec<u8>> {
    let packet = frame.get(ETHERNET..)?;
    match frame.get(12..14)? {
        [0x08, 0x00] => ipv4(frame, packet, mtu),
        [0x86, 0xdd] => ipv6(frame, packet, mtu),
        _ => None,
    }
}

/// The Ethernet header of an answer to `frame`.
fn ethernet(frame: &[u8]) -> Option<Vec<u8>> {
    let mut answer = frame.get(6..12)?.to_vec();
    answer.extend_from_slice(frame.get(..6)?);
    answer.extend_from_slice(frame.get(12..14)?);
    Some(answer)
}

fn ipv4(frame: &[u8], packet: &[u8], mtu: u32) -> Option<Vec<u8>> {
    const DONT_FRAGMENT: u8 = 0x40;
    let protocol = *packet.get(9)?;
    if packet.get(6)? & DONT_FRAGMENT == 0 || i32::from(protocol) == libc::IPPROTO_ICMP {
        return None;
    }
    let quote = &packet[..packet.len().min(QUOTE)];
    let length = u16::try_from(IPV4 + ICMP + quote.len()).ok()?;
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&length.to_be_bytes());
    // No identification, don't fragment, 64 hops, ICMP, no checksum yet.
    ip.extend_from_slice(&[0, 0, DONT_FRAGMENT, 0, 64, 1, 0, 0]);
    ip.extend_from_slice(packet.get(16..20)?);
    ip.extend_from_slice(packet.get(12..16)?);
    write_checksum(&mut ip, 10, 0);
    // Destination unreachable, fragmentation needed.
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend_from_slice(&u16::try_from(mtu).ok()?.to_be_bytes());
    icmp.extend_from_slice(quote);
    write_checksum(&mut icmp, 2, 0);
    Some([ethernet(frame)?, ip, icmp].concat())
}

fn ipv6(frame: &[u8], packet: &[u8], mtu: u32) -> Option<Vec<u8>> {
    const ICMPV6: u8 = libc::IPPROTO_ICMPV6 as u8;
    if *packet.get(6)? == ICMPV6 {
        return None;
    }
    let quote = &packet[..packet.len().min(IPV6 + QUOTE)];
    let mut icmp = vec![2, 0, 0, 0];
    icmp.extend_from_slice(&mtu.to_be_bytes());
    icmp.extend_from_slice(quote);
    let length = u16::try_from(icmp.len()).ok()?;
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend_from_slice(&length.to_be_bytes());
    ip.extend_from_slice(&[ICMPV6, 64]);
    ip.extend_from_slice(packet.get(24..40)?);
    ip.extend_from_slice(packet.get(8..24)?);
    // The pseudo-header: addresses, length, next header (RFC 8200 section 8.1).
    let pseudo = sum(&ip[8..]) + u64::from(length) + u64::from(ICMPV6);
    write_checksum(&mut icmp, 2, pseudo);
    Some([ethernet(frame)?, ip, icmp].concat())
}

/// Writes the Internet checksum (RFC 1071) of `bytes`, and `more`, at `offset`.
fn write_checksum(bytes: &mut [u8], offset: usize, more: u64) {
    let mut total = sum(bytes) + more;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let checksum = !(total as u16);
    bytes[offset..offset + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(high) << 8,
        _ => 0,
    };
    bytes.chunks(2).map(word).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ethertype: [u8; 2], header: &[u8], length: usize) -> Vec<u8> {
        let mut frame = [[1; 6], [2; 6]].concat();
        frame.extend_from_slice(&ethertype);
        frame.extend_from_slice(header);
        frame.resize(ETHERNET + length, 7);
        frame
    }

    fn tcp_over_ipv4(flags: u8) -> Vec<u8> {
        let header = [
            0x45, 0, 5, 0xdc, 0, 1, flags, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        frame([0x08, 0x00], &header, 1500)
    }

    #[test]
    fn ipv4_is_told_the_size_and_sums_are_right() {
        let answer = answer(&tcp_over_ipv4(0x40), 1400).expect("may not be cut");
        assert_eq!(&answer[..12], &[[2; 6], [1; 6]].concat()[..]);
        let (ip, icmp) = answer[ETHERNET..].split_at(IPV4);
        assert_eq!(&ip[12..20], &[10, 0, 0, 2, 10, 0, 0, 1]);
        assert_eq!(&icmp[..2], &[3, 4]);
        assert_eq!(&icmp[6..8], &1400u16.to_be_bytes());
        for part in [ip, icmp] {
            let mut total = sum(part);
            while total > 0xffff {
                total = (total & 0xffff) + (total >> 16);
            }
            assert_eq!(total, 0xffff);
        }
    }

    #[test]
    fn what_may_be_cut_is_not_answered() {
        assert_eq!(answer(&tcp_over_ipv4(0), 1400), None);
    }

    #[test]
    fn ipv6_is_told_the_size_and_the_sum_is_right() {
        let mut header = vec![0x60, 0, 0, 0, 5, 0xb4, 6, 64];
        header.extend_from_slice(&[0xfd; 16]);
        header.extend_from_slice(&[0xfe; 16]);
        let answer = answer(&frame([0x86, 0xdd], &header, 1500), 1400).expect("never cut");
        let (ip, icmp) = answer[ETHERNET..].split_at(IPV6);
        assert_eq!(ip[8], 0xfe);
        assert_eq!(icmp[0], 2);
        assert_eq!(&icmp[4..8], &1400u32.to_be_bytes());
        let mut total = sum(icmp) + sum(&ip[8..]) + icmp.len() as u64 + 58;
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        assert_eq!(total, 0xffff);
    }

    #[test]
    fn cut_off_frames_are_no_trouble() {
        for length in 0..80 {
            answer(&tcp_over_ipv4(0x40)[..length], 1400);
        }
    }
}
