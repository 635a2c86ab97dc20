//! Events: what the runner does to the lab during a case, and when.

use std::time::Duration;

use halfopen_net::{
    CableRef, Carrier, Direction, InterfaceChange, NeighbourChange, RejectWith, RouteChange,
};
use serde::{Deserialize, Serialize};

use super::{Impair, PacketRule};

/// Something that the runner does at a moment of the case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The mark that is set once the event has taken effect: the name that the file
    /// gives the event, else the verb of its action.
    pub name: String,
    /// When it happens.
    pub when: When,
    /// What happens.
    #[serde(rename = "happening")]
    pub action: EventAction,
    /// Line in the file, 1-based.
    pub line: u32,
}

impl Event {
    /// Whether the time of the first sign counts from this event.
    pub fn is_fault(&self) -> bool {
        self.action.is_fault() && !self.is_condition()
    }

    /// Whether this is an impairment that is in place before the lanes start. It is
    /// a property of the network then, and no fault.
    pub fn is_condition(&self) -> bool {
        self.when == When::At(Duration::ZERO) && matches!(self.action, EventAction::Impair(_))
    }
}

/// When an event happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// This time after the start of the lanes.
    At(Duration),
    /// This time after a mark.
    After {
        /// The mark's name.
        mark: String,
        /// The time after it.
        by: Duration,
    },
}

/// What an event does to the lab, or observes in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// A signal to one process of a lane.
    Kill {
        /// The lane.
        lane: String,
        /// The signal's name: `KILL`, `TERM`.
        signal: String,
        /// The newest forked child instead of the lane's own process.
        child: bool,
    },
    /// SIGSTOP to every process of the lane.
    Freeze {
        /// The lane.
        lane: String,
    },
    /// SIGCONT to every process of the lane.
    Thaw {
        /// The lane.
        lane: String,
    },
    /// SIGTERM to every process, SIGKILL after `grace`, then the host's network is
    /// removed: what init does at shutdown.
    Shutdown {
        /// The host.
        host: String,
        /// Time between SIGTERM and SIGKILL.
        grace: Duration,
    },
    /// The host is cut off before its processes are killed, so that no FIN and no
    /// RST leaves it.
    Crash {
        /// The host.
        host: String,
    },
    /// A host goes to sleep: nothing passes its cables and its processes stop. Its
    /// kernel's timers run on in a lab, which they do not on a machine.
    Suspend {
        /// The host.
        host: String,
    },
    /// A host that sleeps wakes up.
    Resume {
        /// The host.
        host: String,
    },
    /// A crash, after which the same host comes back: same MAC and addresses, and
    /// its listening lanes are started again.
    Reboot {
        /// The host.
        host: String,
        /// Time between the crash and the network being up again.
        down_for: Duration,
        /// The MAC address stays the same (a replacement machine has another one).
        same_mac: bool,
        /// A router with NAT still has its connection tracking entries.
        #[serde(default)]
        keeps_state: bool,
    },
    /// A lane ends and is started again, several times.
    Restart {
        /// The lane.
        lane: String,
        /// How often.
        times: u32,
        /// Time from one restart to the next.
        every: Duration,
        /// True: its process is killed, and the kernel sends FIN. False: its host
        /// loses power, and no FIN is sent.
        fin: bool,
    },
    /// Nothing passes the cable.
    Cut {
        /// The cable.
        cable: CableRef,
        /// Which way nothing passes.
        direction: Direction,
        /// Whether the ends lose their carrier.
        carrier: Carrier,
    },
    /// A cable is impaired: loss, delay, jitter and the like.
    Impair(Box<Impair>),
    /// Undoes a cut, impair, drop, reject, route, address, interface or neighbour
    /// event by its name, or all of them.
    Heal {
        /// The event's name; None: everything.
        what: Option<String>,
    },
    /// Packets that match are dropped.
    Drop(PacketRule),
    /// Packets that match are answered with an error.
    Reject {
        /// Which packets, and where they are caught.
        rule: PacketRule,
        /// The error they are answered with.
        with: RejectWith,
    },
    /// A route of a host changes.
    Route {
        /// The host or router.
        host: String,
        /// The change.
        change: RouteChange,
        /// The host it leads to; None: the default route and every connected one.
        to: Option<String>,
    },
    /// A host loses its addresses of the case's family.
    AddressRemoved {
        /// The host.
        host: String,
    },
    /// A host's interface is set down or deleted.
    Interface {
        /// The host.
        host: String,
        /// The change.
        change: InterfaceChange,
    },
    /// A host's neighbour entries (ARP, NDP) are changed.
    Neighbour {
        /// The host or router.
        host: String,
        /// The change.
        change: NeighbourChange,
    },
    /// A router with NAT loses all connection tracking entries.
    Forget {
        /// The router.
        router: String,
    },
    /// A host's address moves to another host of its LAN.
    Move {
        /// The host that loses the address.
        from: String,
        /// The host that gets it.
        to: String,
        /// The new owner announces it by a gratuitous ARP or an unsolicited
        /// neighbour advertisement.
        announced: bool,
    },
    /// A line of text is typed on a lane's keyboard. Not a fault.
    Type {
        /// The lane.
        lane: String,
        /// The line, without its newline.
        text: String,
    },
    /// The states of all sockets are recorded, as netstat shows them. Not a fault.
    Netstat,
}

impl EventAction {
    /// Whether it corrupts packets.
    pub fn corrupts(&self) -> bool {
        matches!(self, EventAction::Impair(impair) if impair.line.corrupt.is_some())
    }

    /// Whether it changes the lab for the worse, so that time counts from it.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            EventAction::Type { .. }
                | EventAction::Netstat
                | EventAction::Thaw { .. }
                | EventAction::Resume { .. }
                | EventAction::Heal { .. }
        )
    }
}
