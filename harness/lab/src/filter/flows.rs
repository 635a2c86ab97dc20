//! The connections that conntrack knows, read and restored, as routers do that hand
//! their state to a partner (conntrackd(8)).

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};

use super::conntrack::{GET, NEW_ENTRY, Tracking};
use crate::error::LabError;
use crate::netlink::message::{Attributes, Purpose, attribute};

// Attributes of an entry.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_INFO: u16 = 4;
const SOURCE_NAT: u16 = 6;
const TIMEOUT: u16 = 7;
// Of a tuple, its addresses and its ports.
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const V4: [u16; 2] = [1, 2];
const V6: [u16; 2] = [3, 4];
const PROTOCOL: u16 = 1;
const PORTS: [u16; 2] = [2, 3];
// Of TCP's part.
const TCP: u16 = 1;
const TCP_STATE: u16 = 1;

/// IPS_SEEN_REPLY, IPS_ASSURED and IPS_CONFIRMED, as an established connection has.
/// The last one must be set, because the kernel refuses to change it
/// (ctnetlink_change_status()).
const ESTABLISHED: u32 = (1 << 1) | (1 << 2) | (1 << 3);

/// A TCP connection that a NAT router knows: [`Lab::flows`](crate::Lab::flows) returns
/// it, [`Lab::restore_flows`](crate::Lab::restore_flows) takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    family: u8,
    /// The end that opened the connection and the other one, as the inside sees them.
    ends: [End; 2],
    /// The translated source: where the other end sends to.
    answered_to: End,
    /// TCP_CONNTRACK_*.
    state: u8,
    /// Seconds until it times out.
    left_s: u32,
}

/// Address and port, in the bytes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    address: Vec<u8>,
    port: [u8; 2],
}

impl Tracking {
    /// The TCP connections it knows.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn flows(&mut self) -> Result<Vec<Flow>, LabError> {
        let mut messages = self.socket.start();
        let purpose = Purpose {
            what: "read the connection table".into(),
            needs: "CONFIG_NF_CT_NETLINK",
        };
        messages.push(GET, NLM_F_DUMP, &[0; 4], purpose, |_| ());
        let mut flows = Vec::new();
        self.socket
            .exchange(&messages, |entry| flows.extend(flow(entry)))?;
        Ok(flows)
    }

    /// Adds connections that were read before.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn restore(&mut self, flows: &[Flow]) -> Result<(), LabError> {
        for flow in flows {
            let mut messages = self.socket.start();
            let purpose = Purpose {
                what: "put a connection into the connection table".into(),
                needs: "CONFIG_NF_CT_NETLINK and CONFIG_NF_NAT",
            };
            let flags = NLM_F_CREATE | NLM_F_EXCL;
            let header = [flow.family, 0, 0, 0];
            messages.push(NEW_ENTRY, flags, &header, purpose, |a| flow.write(a));
            messages.acknowledge_newest();
            self.socket.execute(&messages)?;
        }
        Ok(())
    }
}

impl Flow {
    fn write(&self, a: &mut Attributes) {
        let [opener, target] = &self.ends;
        a.nest(ORIGINAL, |a| tuple(a, opener, target));
        // The untranslated tuple: the kernel translates it as SOURCE_NAT asks
        // (nf_nat_setup_info()).
        a.nest(REPLY, |a| tuple(a, target, opener));
        a.be32(STATUS, ESTABLISHED);
        a.be32(TIMEOUT, self.left_s);
        a.nest(PROTOCOL_INFO, |a| {
            a.nest(TCP, |a| a.bytes(TCP_STATE, &[self.state]));
        });
        if self.answered_to != *opener {
            a.nest(SOURCE_NAT, |a| {
                // CTA_NAT_V4_MINIP, _MAXIP; CTA_NAT_PROTO with its ports.
                a.bytes(1, &self.answered_to.address);
                a.bytes(2, &self.answered_to.address);
                a.nest(3, |a| {
                    a.bytes(1, &self.answered_to.port);
                    a.bytes(2, &self.answered_to.port);
                });
            });
        }
    }
}

fn tuple(a: &mut Attributes, from: &End, to: &End) {
    let addresses = if from.address.len() == 4 { V4 } else { V6 };
    a.nest(TUPLE_IP, |a| {
        a.bytes(addresses[0], &from.address);
        a.bytes(addresses[1], &to.address);
    });
    a.nest(TUPLE_PROTOCOL, |a| {
        a.bytes(PROTOCOL, &[libc::IPPROTO_TCP as u8]);
        a.bytes(PORTS[0], &from.port);
        a.bytes(PORTS[1], &to.port);
    });
}

/// The flow in an entry of a dump; None when it is not TCP.
fn flow(entry: &[u8]) -> Option<Flow> {
    let family = *entry.first()?;
    let attributes = entry.get(4..)?;
    let ends = both_ends(attribute(attributes, ORIGINAL)?)?;
    let [_, answered_to] = both_ends(attribute(attributes, REPLY)?)?;
    let tcp = attribute(attribute(attributes, PROTOCOL_INFO)?, TCP)?;
    let left = attribute(attributes, TIMEOUT)?.try_into().ok()?;
    Some(Flow {
        family,
        ends,
        answered_to,
        state: *attribute(tcp, TCP_STATE)?.first()?,
        left_s: u32::from_be_bytes(left),
    })
}

fn both_ends(tuple: &[u8]) -> Option<[End; 2]> {
    let ip = attribute(tuple, TUPLE_IP)?;
    let protocol = attribute(tuple, TUPLE_PROTOCOL)?;
    if attribute(protocol, PROTOCOL)? != [libc::IPPROTO_TCP as u8] {
        return None;
    }
    let end = |i: usize| {
        let address = attribute(ip, V4[i]).or_else(|| attribute(ip, V6[i]))?;
        Some(End {
            address: address.to_vec(),
            port: attribute(protocol, PORTS[i])?.try_into().ok()?,
        })
    };
    Some([end(0)?, end(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{Messages, answers};

    #[test]
    fn what_is_put_back_is_what_was_read() {
        let end = |last: u8, port: u8| End {
            address: vec![10, 77, 1, last],
            port: [0, port],
        };
        let flow = Flow {
            family: libc::AF_INET as u8,
            ends: [end(1, 1), end(2, 2)],
            answered_to: end(1, 1),
            state: 3,
            left_s: 17,
        };
        let mut messages = Messages::new(1);
        let purpose = Purpose {
            what: "test".into(),
            needs: "",
        };
        let header = [flow.family, 0, 0, 0];
        messages.push(NEW_ENTRY, 0, &header, purpose, |a| flow.write(a));
        let written = answers(messages.bytes()).next().expect("written above");
        assert_eq!(super::flow(written.payload), Some(flow));
    }
}
