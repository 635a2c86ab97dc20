//! The event queue: a binary heap of everything that is going to happen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::clock::Ns;
use super::net::frame::Frame;
use super::{NodeId, ProcessId, SockId};
use crate::wheel::Jiffies;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A timer of the wheel expires.
    Timer(TimerId, u32),
    /// A frame leaves a cable at this interface.
    Frame {
        node: NodeId,
        interface: usize,
        frame: Box<Frame>,
    },
    /// A packet that the host sends to itself is received (loopback).
    Loopback(NodeId, Box<super::net::frame::Packet>),
    /// The tasklet of TCP small queues.
    Tasklet(SockId),
    /// A process may continue.
    Process(ProcessId),
    /// An event of the case, by its index.
    Case(usize),
    /// Its mark is set.
    Mark(usize),
    /// SIGKILL to all processes of a host, at its shutdown.
    KillHost(NodeId),
    /// A host that was shut down is off.
    PowerOff(NodeId),
    /// A host boots.
    Boot {
        node: NodeId,
        same_mac: bool,
        keeps_state: bool,
        mark: usize,
    },
    /// The processes of a lane die of a signal.
    Exit(ProcessId),
    /// Linkwatch handles that an interface has no carrier.
    CarrierLost(NodeId, usize),
}

/// A timer, by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimerId {
    /// icsk_retransmit_timer.
    Write(SockId),
    /// icsk_delack_timer.
    DelayedAck(SockId),
    /// sk_timer: keepalive and FIN_WAIT2.
    Keepalive(SockId),
    /// tw_timer.
    TimeWait(SockId),
    /// rsk_timer of a request socket.
    Request(SockId),
    /// The timer of a neighbour entry.
    Neighbour(NodeId, usize),
}

/// The order of what happens at one moment: timers run before packets are received, and
/// both before a process does (softirqs by their numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Timer,
    Network,
    Tasklet,
    Case,
    Process,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: Ns,
    class: Class,
    /// Of timers in one tick those of wider buckets run first.
    granule: Reverse<u64>,
    /// Of one bucket the timer that was armed last runs first (hlist_add_head()).
    armed: Reverse<Jiffies>,
    number: i64,
}

struct Entry(Key, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// Everything that is going to happen, the next first.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    number: i64,
}

impl Queue {
    /// Adds an event that is no timer.
    pub fn push(&mut self, at: Ns, event: Event) {
        let class = match event {
            Event::Timer(..) => Class::Timer,
            Event::Frame { .. } | Event::Loopback(..) | Event::CarrierLost(..) => Class::Network,
            Event::Tasklet(_) => Class::Tasklet,
            Event::Process(_) => Class::Process,
            _ => Class::Case,
        };
        self.number += 1;
        let key = Key {
            at,
            class,
            granule: Reverse(0),
            armed: Reverse(0),
            number: self.number,
        };
        self.heap.push(Reverse(Entry(key, event)));
    }

    /// Adds a timer in a bucket of this granule, armed then.
    pub fn push_timer(
        &mut self,
        at: Ns,
        (granule, armed): (u64, Jiffies),
        (id, generation): (TimerId, u32),
    ) {
        self.number += 1;
        let key = Key {
            at,
            class: Class::Timer,
            granule: Reverse(granule),
            armed: Reverse(armed),
            number: -self.number,
        };
        let event = Event::Timer(id, generation);
        self.heap.push(Reverse(Entry(key, event)));
    }

    /// The next event, no later than `until`.
    pub fn pop(&mut self, until: Ns) -> Option<(Ns, Event)> {
        let next = self.heap.peek()?;
        if next.0.0.at > until {
            return None;
        }
        let Reverse(Entry(key, event)) = self.heap.pop()?;
        Some((key.at, event))
    }
}
