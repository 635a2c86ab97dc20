//! A NAT router's connection tracking: which connections it lets through, and what
//! happens to packets of connections that it does not know
//! (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
//!
//! It is the kernel's conntrack with short timeouts, which are sysctls of the
//! namespace. Conntrack's hooks exist only in namespaces with a rule that asks for the
//! state of a connection (nf_ct_netns_get()), so other nodes do not run it.

use std::net::IpAddr;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::closer::LateClosed;
use super::expression::{Compare, Expressions, Header, RejectKind};
use super::nft::{BaseHook, TableFamily, Transaction};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::message::Purpose;
use crate::netlink::socket::NetlinkSocket;
use crate::plan::NatPlan;
use halfopen_net::OnForgotten;

/// The table of the rules: another one than [`super::Filter`]'s, which rewrites its
/// own.
const TABLE: &str = "halfopen-nat";
/// The kernel options that the rules need.
const NEEDS: &str = "CONFIG_NF_CONNTRACK, CONFIG_NFT_CT, CONFIG_NFT_NAT and CONFIG_NFT_MASQ";

/// Where the destination address is in the header (RFC 791, RFC 8200).
const IPV4_DESTINATION: u32 = 16;
const IPV6_DESTINATION: u32 = 24;

const ESTABLISHED: u32 = 1 << 1;
const RELATED: u32 = 1 << 2;
const NEW: u32 = 1 << 3;

const fn message(kind: u16) -> u16 {
    ((libc::NFNL_SUBSYS_CTNETLINK as u16) << 8) | kind
}
/// IPCTNL_MSG_CT_NEW.
pub(super) const NEW_ENTRY: u16 = message(0);
/// IPCTNL_MSG_CT_GET.
pub(super) const GET: u16 = message(1);
/// IPCTNL_MSG_CT_DELETE.
const DELETE: u16 = message(2);

/// The connection tracking of one router.
pub(crate) struct Tracking {
    pub(super) socket: LateClosed,
}

impl Tracking {
    /// Lets through the connections that are opened from the inside, and translates
    /// their source addresses over IPv4; and those to a service, with their
    /// destination translated.
    ///
    /// # Errors
    /// When the kernel has no connection tracking or no NAT.
    pub fn start(ns: &Namespace, plan: &NatPlan) -> Result<Self, LabError> {
        let NatPlan {
            inside,
            on_forgotten,
            services,
            ..
        } = plan;
        let on_forgotten = *on_forgotten;
        let socket = ns
            .enter(|| NetlinkSocket::open(NETLINK_NETFILTER))?
            .map_err(|e| {
                LabError::system(format!("open a netfilter socket in {}", ns.name()), e)
            })?;
        let mut tracking = Tracking {
            socket: LateClosed::new(socket),
        };
        let mut change = Transaction::in_table(&tracking.socket, TABLE);
        let inet = TableFamily::Inet;
        change.table(inet);
        let known = |e: &mut Expressions| {
            e.connection_state(ESTABLISHED | RELATED);
            e.accept();
        };
        let unknown = |e: &mut Expressions| {
            e.meta(
                libc::NFT_META_L4PROTO,
                Compare::Equal,
                &[libc::IPPROTO_TCP as u8],
            );
            e.counter();
            match on_forgotten {
                OnForgotten::Reset => e.reject(RejectKind::TcpReset, 0),
                OnForgotten::Silence | OnForgotten::Resume => e.drop(),
            }
        };
        change.base_chain(inet, "forward", BaseHook::Inet(libc::NF_INET_FORWARD));
        change.rule(inet, "forward", NEEDS, known);
        for ifindex in inside {
            // Without nf_conntrack_tcp_loose only a SYN is new; other packets of an
            // unknown connection are invalid (tcp_new()).
            change.rule(inet, "forward", NEEDS, |e| {
                e.meta(libc::NFT_META_IIF, Compare::Equal, &ifindex.to_ne_bytes());
                e.connection_state(NEW);
                e.accept();
            });
        }
        if !services.is_empty() {
            change.base_chain(inet, "prerouting", BaseHook::DestinationNat);
            for (own, target) in services {
                change.rule(inet, "prerouting", NEEDS, |e| {
                    let (family, offset) = match own {
                        IpAddr::V4(_) => (libc::NFPROTO_IPV4, IPV4_DESTINATION),
                        IpAddr::V6(_) => (libc::NFPROTO_IPV6, IPV6_DESTINATION),
                    };
                    e.meta(libc::NFT_META_NFPROTO, Compare::Equal, &[family as u8]);
                    let tcp = [libc::IPPROTO_TCP as u8];
                    e.meta(libc::NFT_META_L4PROTO, Compare::Equal, &tcp);
                    match own {
                        IpAddr::V4(own) => e.payload(Header::Network, offset, &own.octets()),
                        IpAddr::V6(own) => e.payload(Header::Network, offset, &own.octets()),
                    }
                    e.translate_destination(*target);
                });
            }
            change.rule(inet, "forward", NEEDS, |e| {
                e.connection_state(NEW);
                e.destination_translated();
                e.accept();
            });
        }
        change.rule(inet, "forward", NEEDS, unknown);
        // A packet for a translation that was forgotten is addressed to the router
        // itself. Without a rule the router's own TCP answers it, with an RST.
        if on_forgotten != OnForgotten::Resume {
            change.base_chain(inet, "input", BaseHook::Inet(libc::NF_INET_LOCAL_IN));
            change.rule(inet, "input", NEEDS, known);
            change.rule(inet, "input", NEEDS, unknown);
        }
        change.base_chain(inet, "postrouting", BaseHook::SourceNat);
        change.rule(inet, "postrouting", NEEDS, |e| {
            e.meta(
                libc::NFT_META_NFPROTO,
                Compare::Equal,
                &[libc::NFPROTO_IPV4 as u8],
            );
            for ifindex in inside {
                e.meta(
                    libc::NFT_META_OIF,
                    Compare::NotEqual,
                    &ifindex.to_ne_bytes(),
                );
            }
            e.masquerade();
        });
        change.commit(&mut tracking.socket)?;
        Ok(tracking)
    }

    /// Forgets every connection.
    ///
    /// # Errors
    /// When the kernel cannot be asked for it.
    pub fn forget(&mut self) -> Result<(), LabError> {
        let mut messages = self.socket.start();
        let purpose = Purpose {
            what: "flush the connection table".into(),
            needs: "CONFIG_NF_CT_NETLINK",
        };
        // A request without a tuple deletes all (ctnetlink_flush_conntrack()).
        messages.push(DELETE, 0, &[0; 4], purpose, |_| ());
        messages.acknowledge_newest();
        self.socket.execute(&messages)
    }
}
