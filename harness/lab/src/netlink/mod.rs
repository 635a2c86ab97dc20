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

use crate::error::LabError;

/// Sets the loopback interface of the calling thread's network namespace up.
pub(crate) fn set_loopback_up() -> Result<(), LabError> {
    let socket =
        route::RouteSocket::open_here().map_err(|e| LabError::system("open rtnetlink", e))?;
    let mut batch = route::Batch::default();
    batch.push(&socket, rtnetlink::set_link(1, true, None), 0, "set lo up");
    batch.run()
}
