//! Drops by tc: a clsact qdisc and a classic BPF filter per rule (tc-bpf(8)).
//!
//! At a sender's egress the drop is local: the stack sees NET_XMIT_DROP and TCP retries
//! every 500 ms without backing off (TCP_RESOURCE_PROBE_INTERVAL). So a rule's mechanism
//! changes the result, and a scenario can vary it.

use std::collections::BTreeSet;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::bpf::drop_program;
use super::rule::Match;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::message::Purpose;
use crate::netlink::socket::{NetlinkSocket, Refusal};

/// TC_H_CLSACT.
const CLSACT: u32 = 0xffff_fff1;
/// The qdisc's own handle, ffff:.
const CLSACT_HANDLE: u32 = 0xffff_0000;
const TCA_OPTIONS: u16 = 2;
const BPF_LENGTH: u16 = 4;
const BPF_PROGRAM: u16 = 5;
const BPF_FLAGS: u16 = 8;
/// TCA_BPF_FLAG_ACT_DIRECT: the program's return value is the action.
const DIRECT_ACTION: u32 = 1;

/// In which direction a frame passes a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Into the namespace.
    Ingress,
    /// Out of it.
    Egress,
}

/// A rule of the [`Clsact`] that added it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcRuleId {
    ifindex: u32,
    side: Side,
    priority: u16,
}

/// The tc filters of one namespace.
#[derive(Debug)]
pub struct Clsact {
    socket: NetlinkSocket,
    rules: BTreeSet<TcRuleId>,
    next_priority: u16,
}

impl Clsact {
    /// Opens tc in a namespace. Changes nothing yet.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn open(ns: &Namespace) -> Result<Clsact, LabError> {
        let socket = ns
            .enter(|| NetlinkSocket::open(NETLINK_ROUTE))?
            .map_err(|e| {
                LabError::system(format!("open a route netlink socket in {}", ns.name()), e)
            })?;
        Ok(Clsact {
            socket,
            rules: BTreeSet::new(),
            next_priority: 1,
        })
    }

    /// Adds a clsact qdisc to a device that has none; [`Clsact::add_drop`] does so, too.
    ///
    /// To be done before the device is up: afterwards the kernel detaches its queues for
    /// some milliseconds (qdisc_graft(), dev_deactivate()), and what is sent meanwhile
    /// is lost.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when the kernel has no clsact.
    pub fn prepare(&mut self, ifindex: u32) -> Result<(), LabError> {
        let mut messages = self.socket.start();
        let purpose = Purpose {
            what: format!("add a clsact qdisc to interface {ifindex}"),
            needs: "CONFIG_NET_SCH_INGRESS",
        };
        // Does nothing when it exists (qdisc_change() without options).
        let header = tcmsg(ifindex, CLSACT_HANDLE, CLSACT, 0);
        messages.push(libc::RTM_NEWQDISC, NLM_F_CREATE, &header, purpose, |a| {
            a.string(libc::TCA_KIND, "clsact");
        });
        messages.acknowledge_newest();
        self.socket.execute(&messages)
    }

    /// Adds a rule that drops the frames that match, behind the existing rules.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] for `count` and when the kernel has no clsact
    /// or no cls_bpf; [`LabError::Rule`] when nothing can ever match.
    pub fn add_drop(
        &mut self,
        ifindex: u32,
        side: Side,
        rule: &Match,
    ) -> Result<TcRuleId, LabError> {
        let program = drop_program(rule)?;
        let priority = self.next_priority;
        let Some(next_priority) = priority.checked_add(1) else {
            return Err(LabError::Unsupported {
                what: "add more than 65534 tc rules".into(),
                cure: "use a new lab".into(),
            });
        };
        let id = TcRuleId {
            ifindex,
            side,
            priority,
        };
        self.prepare(ifindex)?;
        let mut messages = self.socket.start();
        let purpose = Purpose {
            what: format!("add a tc filter to interface {ifindex}"),
            needs: "CONFIG_NET_CLS_BPF",
        };
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        messages.push(libc::RTM_NEWTFILTER, flags, &id.header(), purpose, |a| {
            a.string(libc::TCA_KIND, "bpf");
            a.nest(TCA_OPTIONS, |a| {
                let length = program.0.len() as u16;
                a.bytes(BPF_LENGTH, &length.to_ne_bytes());
                a.bytes(BPF_PROGRAM, &program.to_bytes());
                a.ne32(BPF_FLAGS, DIRECT_ACTION);
            });
        });
        messages.acknowledge_newest();
        self.socket.execute(&messages)?;
        self.next_priority = next_priority;
        self.rules.insert(id);
        Ok(id)
    }

    /// Removes a rule. Succeeds when the rule was deleted with its device.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a rule that is not there any more.
    pub fn remove(&mut self, id: TcRuleId) -> Result<(), LabError> {
        if !self.rules.contains(&id) {
            return Err(LabError::Unknown {
                kind: "tc rule",
                name: id.priority.to_string(),
                known: self
                    .rules
                    .iter()
                    .map(|id| id.priority.to_string())
                    .collect(),
            });
        }
        let mut messages = self.socket.start();
        let what = format!("remove a tc filter from interface {}", id.ifindex);
        messages.push(
            libc::RTM_DELTFILTER,
            0,
            &id.header(),
            Purpose { what, needs: "" },
            |a| {
                a.string(libc::TCA_KIND, "bpf");
            },
        );
        messages.acknowledge_newest();
        match self.socket.execute(&messages) {
            Err(LabError::Netlink { source, .. }) if no_device(source.as_ref()) => (),
            other => other?,
        }
        self.rules.remove(&id);
        Ok(())
    }
}

fn no_device(refusal: &(dyn std::error::Error + 'static)) -> bool {
    refusal
        .downcast_ref::<Refusal>()
        .is_some_and(|refusal| refusal.errno.raw_os_error() == Some(libc::ENODEV))
}

impl TcRuleId {
    /// Every rule has a priority of its own, by which it is deleted.
    fn header(&self) -> [u8; 20] {
        // TC_H_MIN_INGRESS, TC_H_MIN_EGRESS.
        let parent = match self.side {
            Side::Ingress => 0xffff_fff2,
            Side::Egress => 0xffff_fff3,
        };
        let protocol = u32::from((libc::ETH_P_ALL as u16).to_be());
        tcmsg(
            self.ifindex,
            0,
            parent,
            u32::from(self.priority) << 16 | protocol,
        )
    }
}

/// struct tcmsg.
pub(super) fn tcmsg(ifindex: u32, handle: u32, parent: u32, info: u32) -> [u8; 20] {
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header[8..12].copy_from_slice(&handle.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.to_ne_bytes());
    header[16..20].copy_from_slice(&info.to_ne_bytes());
    header
}
