//! Connection tracking and source NAT of a router: net/netfilter/nf_conntrack_proto_tcp.c,
//! with its states, transitions and timeouts, and the rules that a lab adds.

use super::super::clock::{Ns, SEC};
use super::super::{NodeId, Sim};
use super::frame::{Addr, Body, End, IcmpError, Packet, Segment};
use super::wire::rejection;
use halfopen_scenario::case::{Case, Family, OnForgotten, RejectWith};

/// TCP_CONNTRACK_*, by the columns of tcp_conntracks[].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No entry: the first column.
    None,
    SynSent,
    SynRecv,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,
    SynSent2,
    Invalid,
    Ignore,
}

use State::{
    Close as CL, CloseWait as CW, Established as ES, FinWait as FW, Ignore as IG, Invalid as IV,
    LastAck as LA, SynRecv as SR, SynSent as SS, SynSent2 as S2, TimeWait as TW,
};

/// tcp_conntracks[]: the next state by direction, kind of segment and state.
const NEXT: [[[State; 10]; 5]; 2] = [
    [
        [SS, SS, IG, IG, IG, IG, IG, SS, SS, S2],
        [IV, IV, SR, IV, IV, IV, IV, IV, IV, SR],
        [IV, IV, FW, FW, LA, LA, LA, TW, CL, IV],
        [ES, IV, ES, ES, CW, CW, TW, TW, CL, IV],
        [IV, CL, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
    [
        [IV, S2, IV, IV, IV, IV, IV, SS, IV, S2],
        [IV, SR, IG, IG, IG, IG, IG, IG, IG, SR],
        [IV, IV, FW, FW, LA, LA, LA, TW, CL, IV],
        [IV, IG, SR, ES, CW, CW, TW, TW, CL, IG],
        [IV, CL, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
];

/// An entry.
#[derive(Debug, Clone)]
struct Entry {
    /// Source and destination as the opener sends.
    original: (End, End),
    /// As the other end answers.
    reply: (End, End),
    state: State,
    expires: Ns,
}

/// The connection tracking of a router.
#[derive(Debug, Clone)]
pub(crate) struct Tracking {
    /// Nodes next to it on its inside.
    inside: Vec<String>,
    idle: u64,
    on_forgotten: OnForgotten,
    /// The host inside that connections to the router's own address go to.
    service: Option<Addr>,
    entries: Vec<Entry>,
}

/// What connection tracking says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It tracks nothing here.
    Untracked,
    /// Of a known connection, or an error about one.
    Known,
    /// It opens this one.
    New,
    /// It opens one to a service, whose address it was sent to.
    Service(End),
    /// Of none.
    Unknown,
}

impl Tracking {
    pub fn of(case: &Case, router: &str) -> Option<Self> {
        let nat = case.network.nats.iter().find(|nat| nat.router == router)?;
        let inside = nat.inside_neighbours(&case.network);
        Some(Tracking {
            inside: inside.into_iter().map(str::to_owned).collect(),
            idle: nat.idle.as_secs(),
            on_forgotten: nat.on_forgotten,
            service: nat.service.as_ref().and_then(|host| {
                let nodes = &case.network.nodes;
                let node = nodes.iter().position(|node| node.name == *host)?;
                Some(Addr::Of(node, 0))
            }),
            entries: Vec::new(),
        })
    }

    pub fn forget(&mut self) {
        self.entries.clear();
    }

    /// The timeout of a state in seconds, as pinned.
    fn timeout(&self, state: State, is_reset: bool) -> u64 {
        if is_reset {
            return 10;
        }
        match state {
            SS | S2 | FW | TW => 120,
            SR | CW => 60,
            LA => 30,
            CL => 10,
            _ => self.idle,
        }
    }
}

fn kind(segment: &Segment) -> usize {
    if segment.rst {
        4
    } else if segment.syn {
        usize::from(segment.ack.is_some())
    } else if segment.fin {
        2
    } else {
        3
    }
}

impl Sim<'_> {
    /// nf_conntrack_in() and the translation of the destination. None: dropped.
    pub(crate) fn track_in(
        &mut self,
        node: NodeId,
        interface: usize,
        packet: &mut Packet,
    ) -> Option<Seen> {
        if self.nodes[node].tracking.is_none() {
            return Some(Seen::Untracked);
        }
        let now = self.now;
        let names: Vec<u64> = self.conntrack_overrides(node);
        let for_a_service = self.is_local(node, packet.dst.0) && !self.is_inside(node, interface);
        let tracking = self.nodes[node].tracking.as_mut()?;
        tracking.entries.retain(|entry| entry.expires > now);
        let pair = (packet.src, packet.dst);
        match &mut packet.body {
            Body::Icmp(error) => {
                let about = (error.src, error.dst);
                let found = tracking.entries.iter().find(|e| {
                    let answered = (e.original.1, e.original.0) == about;
                    (e.reply.1, e.reply.0) == about || e.original == about || answered
                });
                let Some(entry) = found else {
                    return Some(Seen::Unknown);
                };
                if (entry.original.1, entry.original.0) == about {
                    // About an answer of a service.
                    packet.dst = entry.reply.0;
                    *error = IcmpError {
                        src: entry.reply.0,
                        dst: entry.reply.1,
                        ..*error
                    };
                    return Some(Seen::Known);
                }
                if (entry.reply.1, entry.reply.0) == about {
                    // About what was translated: the inside sees its own addresses.
                    packet.dst = entry.original.0;
                    *error = IcmpError {
                        src: entry.original.0,
                        dst: entry.original.1,
                        ..*error
                    };
                }
                Some(Seen::Known)
            }
            Body::Tcp(segment) => {
                let kind = kind(segment);
                let entry = tracking
                    .entries
                    .iter()
                    .position(|entry| entry.original == pair || entry.reply == pair);
                let Some(index) = entry else {
                    let loose = tracking.on_forgotten == OnForgotten::Resume;
                    let new = NEXT[0][kind][State::None as usize];
                    let opens = new == SS || loose && new == ES;
                    let service = tracking.service.filter(|_| for_a_service);
                    return Some(match service {
                        _ if !opens => Seen::Unknown,
                        Some(host) => {
                            let sent_to = packet.dst;
                            packet.dst.0 = host;
                            Seen::Service(sent_to)
                        }
                        None => Seen::New,
                    });
                };
                let reply = tracking.entries[index].original != pair;
                let state = tracking.entries[index].state;
                let next = NEXT[usize::from(reply)][kind][state as usize];
                if next == IV {
                    return Some(Seen::Unknown);
                }
                if next != IG {
                    let pinned = tracking.timeout(next, kind == 4);
                    let set = names.get(next as usize).filter(|s| **s > 0);
                    let timeout = set.copied().unwrap_or(pinned);
                    let entry = &mut tracking.entries[index];
                    entry.state = next;
                    entry.expires = now + timeout * SEC;
                }
                let entry = &tracking.entries[index];
                packet.dst = match reply {
                    true => entry.original.0,
                    false => entry.reply.0,
                };
                Some(Seen::Known)
            }
        }
    }

    /// Timeouts by state that a scenario sets (0: as pinned).
    fn conntrack_overrides(&self, node: NodeId) -> Vec<u64> {
        const NAMES: [&str; 10] = [
            "",
            "syn_sent",
            "syn_recv",
            "established",
            "fin_wait",
            "close_wait",
            "last_ack",
            "time_wait",
            "close",
            "syn_sent",
        ];
        let set = &self.nodes[node].sysctls.conntrack;
        if set.is_empty() {
            return Vec::new();
        }
        NAMES
            .iter()
            .map(|name| {
                let found = set.iter().find(|(key, _)| key == name);
                found.map_or(0, |(_, seconds)| *seconds)
            })
            .collect()
    }

    /// Whether a packet for the router itself gets to its sockets.
    pub(crate) fn tracked_input(&mut self, node: NodeId, state: Seen, packet: &Packet) -> bool {
        let Some(tracking) = &self.nodes[node].tracking else {
            return true;
        };
        if tracking.on_forgotten == OnForgotten::Resume || state == Seen::Known {
            return true;
        }
        if tracking.on_forgotten == OnForgotten::Reset {
            self.reject_unknown(node, packet);
        }
        false
    }

    /// The source of a router's own answer for a host inside is its own address, as the
    /// outside knows the connection.
    pub(crate) fn translate_answer(&self, node: NodeId, answer: &mut Packet) {
        let tracking = self.nodes[node].tracking.as_ref();
        let mut entries = tracking.iter().flat_map(|tracking| &tracking.entries);
        if let Some(entry) = entries.find(|e| e.original == (answer.src, answer.dst)) {
            answer.src = entry.reply.1;
        }
    }

    fn reject_unknown(&mut self, node: NodeId, packet: &Packet) {
        if let Some(answer) = rejection(packet, RejectWith::TcpReset) {
            let _ = self.ip_output(node, answer);
        }
    }

    /// The rules of the forward chain, and the translation of the source.
    pub(crate) fn tracked_forward(
        &mut self,
        node: NodeId,
        (from, out): (usize, usize),
        mut packet: Packet,
        state: Seen,
    ) -> Option<Packet> {
        if state == Seen::Untracked {
            return Some(packet);
        }
        let from_inside = self.is_inside(node, from);
        let sent_to = match state {
            Seen::Service(sent_to) => Some(sent_to),
            _ => None,
        };
        let opens = state == Seen::New && from_inside || sent_to.is_some();
        let accepts = state == Seen::Known || opens;
        if !accepts {
            let reset = self.nodes[node].tracking.as_ref();
            let reset = reset.is_some_and(|t| t.on_forgotten == OnForgotten::Reset);
            if packet.segment().is_none() {
                return Some(packet);
            }
            if reset {
                self.reject_unknown(node, &packet);
            }
            return None;
        }
        let translates = self.case.family == Family::Ipv4 && !self.is_inside(node, out);
        let outside = self.interface_address(node, out);
        let now = self.now;
        let pair = (packet.src, packet.dst);
        let is_icmp = packet.segment().is_none();
        if opens {
            let kind = packet.segment().map_or(3, kind);
            let tracking = self.nodes[node].tracking.as_mut()?;
            let mut source = pair.0;
            if translates && let Some(address) = outside {
                source.0 = address;
                while tracking.entries.iter().any(|e| e.reply == (pair.1, source)) {
                    source.1 += 1;
                }
            }
            let state = NEXT[0][kind][State::None as usize];
            let timeout = tracking.timeout(state, false);
            tracking.entries.push(Entry {
                original: (pair.0, sent_to.unwrap_or(pair.1)),
                reply: (pair.1, source),
                state,
                expires: now + timeout * SEC,
            });
        }
        let tracking = self.nodes[node].tracking.as_ref()?;
        if !is_icmp {
            // The destination is translated already (`track_in`).
            let forth = |e: &&Entry| (e.original.0, e.reply.0) == pair;
            let back = |e: &&Entry| (e.reply.0, e.original.0) == pair;
            if let Some(entry) = tracking.entries.iter().find(forth) {
                packet.src = entry.reply.1;
            } else if let Some(entry) = tracking.entries.iter().find(back) {
                packet.src = entry.original.1;
            }
        }
        Some(packet)
    }

    /// An error about a packet whose source or destination was translated goes to the host
    /// that sent it, about the addresses that this host knows.
    pub(crate) fn translate_error(
        &self,
        node: NodeId,
        to: End,
        error: IcmpError,
    ) -> (End, IcmpError) {
        let tracking = self.nodes[node].tracking.iter();
        let mut entries = tracking
            .flat_map(|tracking| &tracking.entries)
            .filter(|entry| entry.expires > self.now);
        let translated = |entry: &Entry| {
            let (src, dst) = if entry.reply == (error.dst, error.src) {
                entry.original
            } else if (entry.reply.0, entry.original.0) == (error.src, error.dst) {
                entry.reply
            } else {
                return None;
            };
            Some((src, IcmpError { src, dst, ..error }))
        };
        entries.find_map(translated).unwrap_or((to, error))
    }

    /// The address outside at which a router's service is reached.
    pub(crate) fn service_address(&self, node: NodeId) -> Option<Addr> {
        self.nodes[node].tracking.as_ref()?.service?;
        let mut interfaces = 0..self.nodes[node].interfaces.len();
        let outside = interfaces.find(|interface| !self.is_inside(node, *interface))?;
        Some(Addr::Of(node, outside))
    }

    fn is_inside(&self, node: NodeId, interface: usize) -> bool {
        let state = &self.nodes[node].interfaces[interface];
        let (far, _) = self.cables[state.cable].ends[1 - state.side];
        let tracking = self.nodes[node].tracking.as_ref();
        let name = self.node_name(far);
        tracking.is_some_and(|tracking| tracking.inside.iter().any(|inside| inside == name))
    }
}
