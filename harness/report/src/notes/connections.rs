//! The section on hosts where connections accumulate: how many there are at each
//! recorded moment (connections to dead peers add up), and when a detector freed
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{CallResult, Netstat, Outcome, SocketState, reference_ns};

use crate::text::{counted, owner};
use halfopen_net::span::human_ns;

/// Hosts with fewer connections are not shown.
const MIN_CONNECTIONS: usize = 6;

/// The cases in which connections accumulate on a host; empty without any.
pub(super) fn render(environment: &Environment, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        for host in hosts_with_many(outcome) {
            if text.is_empty() {
                text.push_str("\nWhat hosts hold\n");
            }
            let _ = writeln!(text, "\n  {} on {host}", outcome.id);
            let mut before = String::new();
            for moment in &outcome.netstat {
                let now = connections(moment, host);
                if now == before {
                    continue;
                }
                let at = human_ns(moment.at_ns);
                let _ = writeln!(text, "    {at:>8}  {now}  ({})", moment.moment);
                before = now;
            }
            if let Some(freed) = freed(outcome, host) {
                let _ = writeln!(text, "    {freed}");
            }
        }
    }
    if !text.is_empty() {
        text.push_str(&objects(environment));
    }
    text
}

/// What the kernel allocates for a connection besides its queues, if that is
/// known.
fn objects(environment: &Environment) -> String {
    let of = |name: &str| Some((name.to_owned(), *environment.connection_objects.get(name)?));
    let parts: Option<Vec<_>> = ["TCP", "sock_inode_cache", "dentry", "filp"]
        .into_iter()
        .map(of)
        .collect();
    let Some(parts) = parts else {
        return String::new();
    };
    let total: u32 = parts.iter().map(|(_, bytes)| bytes).sum();
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, bytes)| format!("{name} {bytes}"))
        .collect();
    format!(
        "\n  An IPv4 connection takes {total} bytes of kernel objects besides its queues: {}.\n",
        parts.join(", ")
    )
}

/// Hosts that have many connections at some moment and accept them.
fn hosts_with_many(outcome: &Outcome) -> Vec<&str> {
    let mut hosts: Vec<&str> = Vec::new();
    for moment in &outcome.netstat {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for socket in moment.sockets.iter().filter(|s| is_open(s)) {
            *counts.entry(&socket.host).or_default() += 1;
        }
        hosts.extend(
            counts
                .iter()
                .filter(|(_, n)| **n >= MIN_CONNECTIONS)
                .map(|(host, _)| host),
        );
    }
    hosts.sort_unstable();
    hosts.dedup();
    // The connections are open on both hosts; those on the accepting host are the
    // ones that stay.
    let accepts = |host: &&str| {
        outcome.endpoints.iter().any(|e| {
            e.host == **host
                && e.processes
                    .iter()
                    .any(|p| p.calls.iter().any(|c| c.call == "accept"))
        })
    };
    hosts.retain(accepts);
    hosts
}

fn is_open(socket: &SocketState) -> bool {
    matches!(socket.state.as_str(), "ESTABLISHED" | "CLOSE_WAIT")
}

/// `8 CLOSE_WAIT, 1 ESTABLISHED not accepted, 1 waiting of 128; 12 descriptors`.
fn connections(moment: &Netstat, host: &str) -> String {
    let sockets = || moment.sockets.iter().filter(|s| s.host == host);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for socket in sockets().filter(|s| s.state != "LISTEN") {
        let kind = format!("{} {}", socket.state, owner(socket));
        *counts.entry(kind.trim_end().to_owned()).or_default() += 1;
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    let queues = sockets().filter(|s| s.state == "LISTEN" && s.recv_q > 0);
    parts.extend(queues.map(|s| format!("{} of {} waiting to be accepted", s.recv_q, s.send_q)));
    if parts.is_empty() {
        parts.push("no connection".to_owned());
    }
    let mut text = parts.join(", ");
    if let Some(fds) = moment.fd_counts.iter().find(|h| h.host == host) {
        let _ = write!(text, "; {} descriptors", fds.descriptors);
    }
    let queued: u64 = sockets().map(|s| u64::from(s.memory)).sum();
    let _ = write!(text, ", {} KiB in queues", queued / 1024);
    text
}

/// When the processes on a host closed connections, since the fault.
fn freed(outcome: &Outcome, host: &str) -> Option<String> {
    let reference = reference_ns(&outcome.faults);
    let closed: Vec<i64> = outcome
        .endpoints
        .iter()
        .filter(|e| e.host == host)
        .flat_map(|e| &e.processes)
        .flat_map(|p| &p.calls)
        .filter(|c| c.call == "close" && matches!(c.result, CallResult::Value(_)))
        .filter_map(|c| Some(c.end_ns? - reference))
        .filter(|since| *since >= 0)
        .collect();
    let (first, last) = (closed.iter().min()?, closed.iter().max()?);
    Some(format!(
        "{} from {} to {} after the fault",
        counted(
            closed.len(),
            "connection was closed,",
            "connections were closed,"
        ),
        human_ns(*first),
        human_ns(*last)
    ))
}
