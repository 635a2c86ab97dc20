//! What this machine can do, tried out: each probe asks the kernel for the thing
//! itself, in a namespace that is thrown away. Nothing is concluded from versions or
//! configuration files. Used before each run on this machine, and by `doctor`.

mod attempt;
mod request;

use std::io;

use nix::errno::Errno;

use halfopen_lab::Namespace;
use halfopen_lab::sandbox;
use halfopen_net::error::chain;

/// A capability that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this machine cannot {what}: {why}\n  cure: {cure}")]
pub(crate) struct Missing {
    /// What cannot be done.
    pub(crate) what: String,
    /// How the kernel refused.
    pub(crate) why: String,
    /// What would cure it.
    pub(crate) cure: String,
}

/// A capability, and how it is tried.
pub(crate) struct Probe {
    /// What can or cannot be done: the text that follows "this machine can".
    pub(crate) what: &'static str,
    /// Whether every run needs it, or else what goes without it.
    pub(crate) needed: Need,
    cure: &'static str,
    attempt: fn() -> io::Result<()>,
}

/// Which runs need a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Every run.
    Always,
    /// Only these scenarios.
    For(&'static str),
}

impl Probe {
    /// Tries it in a namespace of its own.
    pub(crate) fn attempt_in(&self, namespace: &Namespace) -> Result<(), Missing> {
        let result = namespace.enter(self.attempt).map_err(|e| chain(&e));
        result
            .and_then(|r| r.map_err(|e| refusal(&e)))
            .map_err(|why| Missing {
                what: self.what.into(),
                why,
                cure: self.cure.into(),
            })
    }
}

/// The errno by name: its text is about files ("No such file or directory" where a
/// qdisc is missing).
pub(crate) fn refusal(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) => format!("the kernel answered {errno:?}"),
        None => error.to_string(),
    }
}

/// What is tried once there is a namespace, in the order in which it is shown.
pub(crate) const PROBES: &[Probe] = &[
    Probe {
        what: "join hosts by veth pairs",
        needed: Need::Always,
        cure: "a kernel with CONFIG_VETH (modprobe veth)",
        attempt: || attempt::new_link("veth"),
    },
    Probe {
        what: "join links on the wire by nftables (netdev fwd)",
        needed: Need::Always,
        cure: "a kernel with CONFIG_NF_TABLES_NETDEV and CONFIG_NFT_FWD_NETDEV \
               (modprobe -a nf_tables nft_fwd_netdev)",
        attempt: attempt::nft_forward,
    },
    Probe {
        what: "capture packets (AF_PACKET)",
        needed: Need::Always,
        cure: "a kernel with CONFIG_PACKET (modprobe af_packet)",
        attempt: attempt::capture,
    },
    Probe {
        what: "look at sockets (sock_diag)",
        needed: Need::Always,
        cure: "a kernel with CONFIG_INET_TCP_DIAG (modprobe tcp_diag)",
        attempt: attempt::look_at_sockets,
    },
    Probe {
        what: "build switches (bridge)",
        needed: Need::For("networks with a switch, such as `lan`"),
        cure: "a kernel with CONFIG_BRIDGE (modprobe bridge)",
        attempt: || attempt::new_link("bridge"),
    },
    Probe {
        what: "use IPv6",
        needed: Need::For("cases with family=ipv6"),
        cure: "a kernel with CONFIG_IPV6, started without ipv6.disable=1",
        attempt: attempt::ipv6,
    },
    Probe {
        what: "reject packets on the wire (nft reject, netdev)",
        needed: Need::For("`reject` events on the wire"),
        cure: "a kernel with CONFIG_NFT_REJECT_NETDEV (5.14 or later)",
        attempt: || attempt::nft_reject(attempt::NFPROTO_NETDEV),
    },
    Probe {
        what: "reject packets on a router (nft reject, inet)",
        needed: Need::For("`reject` events at a host or a router"),
        cure: "a kernel with CONFIG_NFT_REJECT_INET (modprobe nft_reject_inet)",
        attempt: || attempt::nft_reject(attempt::NFPROTO_INET),
    },
    Probe {
        what: "let routers keep state of connections (conntrack, NAT)",
        needed: Need::For("scenarios with `nat`"),
        cure: "a kernel with CONFIG_NF_CONNTRACK, CONFIG_NF_CT_NETLINK, CONFIG_NFT_CT, \
               CONFIG_NFT_NAT and CONFIG_NFT_MASQ (modprobe -a nft_ct nft_masq \
               nf_conntrack_netlink)",
        attempt: attempt::connection_state,
    },
    Probe {
        what: "drop packets by tc (clsact)",
        needed: Need::For("`drop` events with `by: tc`"),
        cure: "a kernel with CONFIG_NET_SCH_INGRESS (modprobe sch_ingress)",
        attempt: || attempt::new_qdisc("clsact", 0xffff_0000, 0xffff_fff1, &[]),
    },
    Probe {
        what: "match packets by tc (cls_bpf)",
        needed: Need::For("`drop` events with `by: tc`"),
        cure: "a kernel with CONFIG_NET_CLS_BPF (modprobe cls_bpf)",
        attempt: attempt::bpf_filter,
    },
    Probe {
        what: "delay packets by the kernel (netem)",
        needed: Need::For("`impair` events with `by: netem`; others are done by a relay"),
        cure: "a kernel with CONFIG_NET_SCH_NETEM (modprobe sch_netem; Debian's cloud kernels \
               have it, some container hosts do not)",
        attempt: attempt::netem,
    },
    Probe {
        what: "destroy sockets (sock_diag)",
        needed: Need::For("`SOCK_DESTROY`"),
        cure: "a kernel with CONFIG_INET_DIAG_DESTROY",
        attempt: attempt::destroy_sockets,
    },
];

/// Tries what every run needs, and names the privileges it found: `root` or
/// `user namespace` (into which this process has moved then).
///
/// Takes a few milliseconds. Call it before the first thread is started: see
/// user_namespaces(7).
///
/// # Errors
/// The first thing that is missing, with its cure.
pub(crate) fn needed_for_run() -> Result<&'static str, Missing> {
    let privileges = privileged()?;
    let namespace = namespace()?;
    for probe in PROBES.iter().filter(|probe| probe.needed == Need::Always) {
        probe.attempt_in(&namespace)?;
    }
    Ok(privileges)
}

/// Gets the privileges to build labs, as root or in a user namespace.
pub(crate) fn privileged() -> Result<&'static str, Missing> {
    sandbox::enter()
        .map(sandbox::Privileges::name)
        .map_err(|e| Missing {
            what: "become root, or root of a user namespace".into(),
            why: chain(&e),
            cure: sandbox::why_refused(),
        })
}

/// Makes a network namespace, with the mounts it needs.
pub(crate) fn namespace() -> Result<Namespace, Missing> {
    Namespace::create("doctor").map_err(|e| Missing {
        what: "make network namespaces in a mount namespace of its own".into(),
        why: chain(&e),
        cure: "a kernel with CONFIG_NET_NS; in a container, --privileged (a seccomp or AppArmor \
               profile may refuse unshare and mount)"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_its_own() -> Namespace {
        match namespace() {
            Ok(namespace) => namespace,
            Err(missing) => panic!("this test needs root or a user namespace: {missing}"),
        }
    }

    #[test]
    fn what_every_run_needs_is_here() {
        let namespace = of_its_own();
        for probe in PROBES.iter().filter(|probe| probe.needed == Need::Always) {
            if let Err(missing) = probe.attempt_in(&namespace) {
                panic!("{missing}");
            }
        }
    }
}
