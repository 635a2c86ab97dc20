//! Socket addresses (ip(7), ipv6(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::Memory;

/// sizeof(struct sockaddr_in6), the larger of the two.
const LONGEST: usize = 28;

/// The address at `address` that is `length` bytes long; None: another family,
/// or not readable.
pub(crate) fn read(memory: Memory, address: u64, length: u64) -> Option<SocketAddr> {
    let length = usize::try_from(length).ok()?.min(LONGEST);
    parse(&memory.bytes(address, length)?)
}

/// Decodes a struct sockaddr_in or sockaddr_in6.
pub(crate) fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
            Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
            let scope = bytes.get(24..).and_then(|rest| rest.first_chunk());
            let scope = scope.map_or(0, |scope| u32::from_ne_bytes(*scope));
            let v6 = SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope);
            Some(canonical(v6.into()))
        }
        _ => None,
    }
}

/// ::ffff:10.0.0.1 is 10.0.0.1: the packets are IPv4, whatever the socket is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_and_mapped_addresses() {
        let mut v4 = vec![2, 0, 0x1f, 0x90, 10, 0, 0, 1];
        v4.extend([0; 8]);
        assert_eq!(parse(&v4), "10.0.0.1:8080".parse().ok());

        let mut v6 = vec![10, 0, 0, 80, 0, 0, 0, 0];
        v6.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets());
        v6.extend(2_u32.to_ne_bytes());
        assert_eq!(parse(&v6), "[fe80::1%2]:80".parse().ok());

        let mut mapped = vec![10, 0, 0, 80, 0, 0, 0, 0];
        mapped.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        assert_eq!(parse(&mapped), "127.0.0.1:80".parse().ok());

        assert_eq!(parse(&[1, 0, b'/', b'x']), None, "AF_UNIX");
        assert_eq!(parse(&[2, 0, 0]), None, "too short");
    }
}
