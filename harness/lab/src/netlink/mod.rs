//! Netlink: sockets, the messages of rtnetlink, and the bytes of those that no
//! crate in use can write (nftables, tc, conntrack).
//!
//! Sockets are opened inside a namespace, stay in it, and are used from any
//! thread. Requests block until the kernel has answered; it carries them out
//! within sendmsg(2) (netlink_rcv_skb()), so there is nothing to wait for
//! meanwhile.

pub(crate) mod message;
pub(crate) mod route;
pub(crate) mod rtnetlink;
pub(crate) mod socket;
