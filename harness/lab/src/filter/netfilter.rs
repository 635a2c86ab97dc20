//! A namespace's nftables: ports joined into cables, and rules.
//!
//! In table `netdev halfopen` every port has a base chain `in-PORT`, which only goes
//! to `port-PORT`: the rules, then `fwd` to the other port. The kernel deletes the base
//! chain with its device (before 6.16); `port-PORT` stays, so a cable whose end has
//! crashed can still be cut, mended and given rules.
//!
//! Each rule is in a chain of its own, `rule-N`, and the chains that lead there hold
//! nothing but jumps. So they can be rewritten at every change, without handles, while
//! the rules keep their counters.

use std::collections::BTreeMap;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::closer::LateClosed;
use super::describe::{self, Note};
use super::hook::{Action, Hook, write_rule};
use super::nft::{BaseHook, TableFamily, Transaction, packets, probe};
use super::rule::Match;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::socket::NetlinkSocket;

/// A port of a cable: a device in the wire's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRef {
    /// The device's name.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
}

/// A rule of the [`Filter`] that added it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// The packet filter (nftables) of one namespace; [`Lab::filter_of`](crate::Lab::filter_of)
/// returns it. A namespace must have only one: a second one would overwrite the chains
/// of the first.
pub struct Filter {
    socket: LateClosed,
    layout: Layout,
    next_rule: u64,
    note: Option<Note>,
    /// The rules in words.
    words: BTreeMap<RuleId, String>,
}

/// What is in the kernel, except for the rules' contents.
#[derive(Debug, Clone, Default)]
struct Layout {
    ports: BTreeMap<String, Port>,
    hooks: BTreeMap<Hook, Vec<RuleId>>,
}

#[derive(Debug, Clone)]
struct Port {
    /// Index of the port that frames leave by.
    other: u32,
    /// Index of a device that they leave by instead.
    detour: Option<u32>,
    blocked: bool,
}

impl Filter {
    /// Opens the packet filter of a namespace. Changes nothing yet.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] when the kernel has no nftables.
    pub fn open(ns: &Namespace) -> Result<Filter, LabError> {
        let mut socket = ns
            .enter(|| NetlinkSocket::open(NETLINK_NETFILTER))?
            .map_err(|e| match e.raw_os_error() {
                Some(libc::EPROTONOSUPPORT) => no_nftables(),
                _ => LabError::system(format!("open a netfilter socket in {}", ns.name()), e),
            })?;
        probe(&mut socket).map_err(|e| match e {
            // nfnetlink is there, nf_tables is not (nfnetlink_rcv_msg()).
            LabError::Netlink { .. } => no_nftables(),
            other => other,
        })?;
        Ok(Filter {
            socket: LateClosed::new(socket),
            layout: Layout::default(),
            next_rule: 0,
            note: None,
            words: BTreeMap::new(),
        })
    }

    /// Says from now on which rules are added and removed.
    pub(crate) fn set_note(&mut self, note: Note) {
        self.note = Some(note);
    }

    /// Joins ports pair by pair: frames that enter one leave by the other. All pairs are
    /// joined in one transaction.
    ///
    /// A port with the name of an earlier one replaces it, when its device was created
    /// anew, and keeps its rules and whether it is blocked.
    ///
    /// # Errors
    /// When there is no such device, or the kernel has no `fwd`.
    pub fn join(&mut self, pairs: &[(&PortRef, &PortRef)]) -> Result<(), LabError> {
        let mut layout = self.layout.clone();
        let mut change = Transaction::new(&self.socket);
        change.table(TableFamily::Netdev);
        let directions = pairs.iter().flat_map(|(a, b)| [(a, b), (b, a)]);
        for (from, to) in directions.clone() {
            let port = layout.ports.entry(from.name.clone()).or_insert(Port {
                other: to.ifindex,
                detour: None,
                blocked: false,
            });
            port.other = to.ifindex;
            change.chain(TableFamily::Netdev, &port_chain(&from.name));
        }
        for (from, _) in directions {
            let base = format!("in-{}", from.name);
            change.base_chain(TableFamily::Netdev, &base, BaseHook::Ingress(&from.name));
            change.flush(TableFamily::Netdev, &base);
            change.rule(TableFamily::Netdev, &base, "", |e| {
                e.goto(&port_chain(&from.name))
            });
            layout.write(&Hook::Port(from.name.clone()), &mut change);
        }
        change.commit(&mut self.socket)?;
        self.layout = layout;
        Ok(())
    }

    /// Drops everything that enters these ports, before any rule (true), or lets it pass
    /// again (false). In one transaction: no packet sees a part of the change.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a port that was never joined.
    pub fn block(&mut self, ports: &[(&str, bool)]) -> Result<(), LabError> {
        let mut layout = self.layout.clone();
        let mut change = Transaction::new(&self.socket);
        for (name, blocked) in ports {
            match layout.ports.get_mut(*name) {
                Some(port) => port.blocked = *blocked,
                None => return Err(self.layout.unknown_port(name)),
            }
            layout.write(&Hook::Port((*name).to_owned()), &mut change);
        }
        if ports.is_empty() {
            return Ok(());
        }
        change.commit(&mut self.socket)?;
        self.layout = layout;
        Ok(())
    }

    /// Makes frames that enter this port leave by another device than the cable's other
    /// port; with None by that port again. Rules and blocking come before.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a port that was never joined.
    pub fn detour(&mut self, port: &str, by: Option<u32>) -> Result<(), LabError> {
        let mut layout = self.layout.clone();
        match layout.ports.get_mut(port) {
            Some(port) => port.detour = by,
            None => return Err(self.layout.unknown_port(port)),
        }
        let mut change = Transaction::new(&self.socket);
        layout.write(&Hook::Port(port.to_owned()), &mut change);
        change.commit(&mut self.socket)?;
        self.layout = layout;
        Ok(())
    }

    /// Adds a rule behind the others of its hook. It takes effect before this returns,
    /// for all packets that come later.
    ///
    /// # Errors
    /// [`LabError::Rule`] when it cannot match anything, [`LabError::Unknown`]
    /// for a port that was never joined, [`LabError::Unsupported`] for what the
    /// kernel or the protocol does not have.
    pub fn add(&mut self, hook: Hook, rule: &Match, action: Action) -> Result<RuleId, LabError> {
        if let Hook::Port(name) = &hook
            && !self.layout.ports.contains_key(name)
        {
            return Err(self.layout.unknown_port(name));
        }
        let table = hook.table();
        let id = RuleId(self.next_rule);
        let mut layout = self.layout.clone();
        let mut change = Transaction::new(&self.socket);
        change.table(table);
        if let Some((number, name)) = hook.inet() {
            change.base_chain(table, name, BaseHook::Inet(number));
        }
        let chain = rule_chain(id);
        change.new_chain(table, &chain);
        write_rule(&mut change, table, &chain, rule, action)?;
        layout.hooks.entry(hook.clone()).or_default().push(id);
        layout.write(&hook, &mut change);
        change.commit(&mut self.socket)?;
        self.layout = layout;
        self.next_rule += 1;
        let words = describe::rule(rule, action);
        if let Some(note) = &self.note {
            note(&hook, &words);
        }
        self.words.insert(id, words);
        Ok(id)
    }

    /// Removes a rule. The others keep their counters.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a rule that is not there any more.
    pub fn remove(&mut self, id: RuleId) -> Result<(), LabError> {
        let hook = self.layout.hook_of(id)?.clone();
        let mut layout = self.layout.clone();
        layout
            .hooks
            .entry(hook.clone())
            .or_default()
            .retain(|other| *other != id);
        let mut change = Transaction::new(&self.socket);
        layout.write(&hook, &mut change);
        change.delete_chain(hook.table(), &rule_chain(id));
        change.commit(&mut self.socket)?;
        self.layout = layout;
        let words = self.words.remove(&id).unwrap_or_default();
        if let Some(note) = &self.note {
            note(&hook, &format!("no longer {words}"));
        }
        Ok(())
    }

    /// How many packets a rule has dropped or rejected, by its counter.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a rule that is not there any more.
    pub fn packets(&mut self, id: RuleId) -> Result<u64, LabError> {
        let table = self.layout.hook_of(id)?.table();
        packets(&mut self.socket, table, &rule_chain(id))
    }
}

impl Layout {
    /// Rewrites the chain that leads from a hook to its rules.
    fn write(&self, hook: &Hook, change: &mut Transaction) {
        let table = hook.table();
        let (chain, port) = match hook {
            Hook::Port(name) => (port_chain(name), self.ports.get(name)),
            Hook::Input | Hook::Forward | Hook::Output => {
                (hook.inet().map_or("", |(_, name)| name).to_owned(), None)
            }
        };
        change.flush(table, &chain);
        if port.is_some_and(|port| port.blocked) {
            change.rule(table, &chain, "", |e| e.drop());
            return;
        }
        for id in self.hooks.get(hook).into_iter().flatten() {
            change.rule(table, &chain, "", |e| e.jump(&rule_chain(*id)));
        }
        if let Some(port) = port {
            change.rule(table, &chain, "CONFIG_NFT_FWD_NETDEV", |e| {
                e.forward(port.detour.unwrap_or(port.other))
            });
        }
    }

    fn hook_of(&self, id: RuleId) -> Result<&Hook, LabError> {
        let holder = self.hooks.iter().find(|(_, rules)| rules.contains(&id));
        holder
            .map(|(hook, _)| hook)
            .ok_or_else(|| LabError::Unknown {
                kind: "packet rule",
                name: id.0.to_string(),
                known: self
                    .hooks
                    .values()
                    .flatten()
                    .map(|id| id.0.to_string())
                    .collect(),
            })
    }

    fn unknown_port(&self, name: &str) -> LabError {
        LabError::Unknown {
            kind: "joined port",
            name: name.to_owned(),
            known: self.ports.keys().cloned().collect(),
        }
    }
}

fn port_chain(port: &str) -> String {
    format!("port-{port}")
}

fn rule_chain(id: RuleId) -> String {
    format!("rule-{}", id.0)
}

fn no_nftables() -> LabError {
    LabError::Unsupported {
        what: "filter packets with nftables".into(),
        cure: "use a kernel with CONFIG_NF_TABLES (or load the module nf_tables)".into(),
    }
}
