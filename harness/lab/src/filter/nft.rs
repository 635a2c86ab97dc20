//! nftables messages: a transaction of tables, chains and rules
//! (include/uapi/linux/netfilter/nf_tables.h; docs: nft(8)).

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};

use super::expression::{EXPRESSION_DATA, EXPRESSION_NAME, Expressions};
use crate::error::LabError;
use crate::netlink::message::{Attributes, Messages, Purpose, attribute, attributes};
use crate::netlink::socket::NetlinkSocket;

const NEWTABLE: u16 = message(libc::NFT_MSG_NEWTABLE);
const NEWCHAIN: u16 = message(libc::NFT_MSG_NEWCHAIN);
const DELCHAIN: u16 = message(libc::NFT_MSG_DELCHAIN);
const NEWRULE: u16 = message(libc::NFT_MSG_NEWRULE);
const GETRULE: u16 = message(libc::NFT_MSG_GETRULE);
const DELRULE: u16 = message(libc::NFT_MSG_DELRULE);
const GETGEN: u16 = message(libc::NFT_MSG_GETGEN);

const fn message(kind: i32) -> u16 {
    ((libc::NFNL_SUBSYS_NFTABLES << 8) | kind) as u16
}

// Attributes of tables, chains and hooks.
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
// Attributes of rules and of the lists in them.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const COUNTER_PACKETS: u16 = 2;

/// The name of this filter's tables.
const TABLE: &str = "halfopen";

/// A table's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableFamily {
    /// A device's ingress, before IP.
    Netdev,
    /// IPv4 and IPv6.
    Inet,
}

impl TableFamily {
    fn number(self) -> u8 {
        let number = match self {
            TableFamily::Netdev => libc::NFPROTO_NETDEV,
            TableFamily::Inet => libc::NFPROTO_INET,
        };
        number as u8
    }

    fn needs(self) -> &'static str {
        match self {
            TableFamily::Netdev => "CONFIG_NF_TABLES_NETDEV",
            TableFamily::Inet => "CONFIG_NF_TABLES_INET",
        }
    }
}

/// Where the packets of a base chain come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum BaseHook<'a> {
    /// Frames that enter this device, after tc ingress.
    Ingress(&'a str),
    /// A hook of IP: NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT.
    Inet(i32),
    /// Where source addresses are translated: NF_INET_POST_ROUTING.
    SourceNat,
    /// Where destinations are translated: NF_INET_PRE_ROUTING.
    DestinationNat,
}

/// Changes that the kernel makes all at once or not at all.
pub(super) struct Transaction {
    messages: Messages,
    table: &'static str,
}

impl Transaction {
    /// An empty transaction for the table `halfopen`.
    pub fn new(socket: &NetlinkSocket) -> Self {
        Transaction::in_table(socket, TABLE)
    }

    /// An empty transaction for a table of another name.
    pub fn in_table(socket: &NetlinkSocket, table: &'static str) -> Self {
        let mut messages = socket.start();
        batch_limit(&mut messages, libc::NFNL_MSG_BATCH_BEGIN);
        Transaction { messages, table }
    }

    /// Creates the table, unless it exists.
    pub fn table(&mut self, family: TableFamily) {
        let table = self.table;
        let purpose = Purpose {
            what: "make an nftables table".into(),
            needs: family.needs(),
        };
        self.push(NEWTABLE, NLM_F_CREATE, family, purpose, |a| {
            a.string(TABLE_NAME, table)
        });
    }

    /// Creates a chain that others jump to, unless it exists.
    pub fn chain(&mut self, family: TableFamily, name: &str) {
        let table = self.table;
        let purpose = Purpose {
            what: format!("make nftables chain {name}"),
            needs: "",
        };
        self.push(NEWCHAIN, NLM_F_CREATE, family, purpose, |a| {
            a.string(CHAIN_TABLE, table);
            a.string(CHAIN_NAME, name);
        });
    }

    /// Creates a chain that others jump to and that must not exist yet.
    pub fn new_chain(&mut self, family: TableFamily, name: &str) {
        let table = self.table;
        let purpose = Purpose {
            what: format!("make nftables chain {name}"),
            needs: "",
        };
        self.push(NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, family, purpose, |a| {
            a.string(CHAIN_TABLE, table);
            a.string(CHAIN_NAME, name);
        });
    }

    /// Creates a chain that packets enter from a hook, unless it exists with this hook.
    pub fn base_chain(&mut self, family: TableFamily, name: &str, hook: BaseHook) {
        let table = self.table;
        let purpose = Purpose {
            what: format!("make nftables base chain {name}"),
            needs: "",
        };
        self.push(NEWCHAIN, NLM_F_CREATE, family, purpose, |a| {
            a.string(CHAIN_TABLE, table);
            a.string(CHAIN_NAME, name);
            let kind = match hook {
                BaseHook::SourceNat | BaseHook::DestinationNat => "nat",
                BaseHook::Ingress(_) | BaseHook::Inet(_) => "filter",
            };
            a.string(CHAIN_TYPE, kind);
            a.be32(CHAIN_POLICY, libc::NF_ACCEPT as u32);
            a.nest(CHAIN_HOOK, |a| {
                let (number, priority, device) = match hook {
                    BaseHook::Ingress(device) => (libc::NF_NETDEV_INGRESS, 0, Some(device)),
                    BaseHook::Inet(number) => (number, 0, None),
                    BaseHook::SourceNat => {
                        (libc::NF_INET_POST_ROUTING, libc::NF_IP_PRI_NAT_SRC, None)
                    }
                    BaseHook::DestinationNat => {
                        (libc::NF_INET_PRE_ROUTING, libc::NF_IP_PRI_NAT_DST, None)
                    }
                };
                a.be32(HOOK_NUMBER, number as u32);
                a.be32(HOOK_PRIORITY, priority as u32);
                if let Some(device) = device {
                    a.string(HOOK_DEVICE, device);
                }
            });
        });
    }

    /// Removes a chain and its rules. No rule may lead to it any more.
    pub fn delete_chain(&mut self, family: TableFamily, name: &str) {
        self.flush(family, name);
        let table = self.table;
        let purpose = Purpose {
            what: format!("remove nftables chain {name}"),
            needs: "",
        };
        self.push(DELCHAIN, 0, family, purpose, |a| {
            a.string(CHAIN_TABLE, table);
            a.string(CHAIN_NAME, name);
        });
    }

    /// Removes all rules of a chain.
    pub fn flush(&mut self, family: TableFamily, chain: &str) {
        let table = self.table;
        let purpose = Purpose {
            what: format!("empty nftables chain {chain}"),
            needs: "",
        };
        self.push(DELRULE, 0, family, purpose, |a| {
            a.string(RULE_TABLE, table);
            a.string(RULE_CHAIN, chain);
        });
    }

    /// Adds a rule at a chain's end. `needs` names the kernel options of its
    /// expressions.
    pub fn rule(
        &mut self,
        family: TableFamily,
        chain: &str,
        needs: &'static str,
        expressions: impl FnOnce(&mut Expressions),
    ) {
        let table = self.table;
        let purpose = Purpose {
            what: format!("add a rule to nftables chain {chain}"),
            needs,
        };
        self.push(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, purpose, |a| {
            a.string(RULE_TABLE, table);
            a.string(RULE_CHAIN, chain);
            a.nest(RULE_EXPRESSIONS, |list| {
                expressions(&mut Expressions::new(list))
            });
        });
    }

    /// Sends the transaction and waits until the kernel has committed it.
    pub fn commit(mut self, socket: &mut NetlinkSocket) -> Result<(), LabError> {
        // Before 6.10 the end of a batch is not acknowledged; the last change
        // is, after the commit (nfnetlink_rcv_batch()).
        self.messages.acknowledge_newest();
        batch_limit(&mut self.messages, libc::NFNL_MSG_BATCH_END);
        socket.execute(&self.messages)
    }

    fn push(
        &mut self,
        kind: u16,
        flags: u16,
        family: TableFamily,
        purpose: Purpose,
        attributes: impl FnOnce(&mut Attributes),
    ) {
        self.messages.push(
            kind,
            flags,
            &[family.number(), 0, 0, 0],
            purpose,
            attributes,
        );
    }
}

fn batch_limit(messages: &mut Messages, kind: i32) {
    // EOPNOTSUPP answers the beginning when nf_tables itself is missing.
    let purpose = Purpose {
        what: "change nftables".into(),
        needs: "CONFIG_NF_TABLES",
    };
    let subsystem = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    messages.push(
        kind as u16,
        0,
        &[0, 0, subsystem[0], subsystem[1]],
        purpose,
        |_| (),
    );
}

/// Asks nftables for its generation, the cheapest way to find out whether the kernel
/// has nftables.
pub(super) fn probe(socket: &mut NetlinkSocket) -> Result<(), LabError> {
    let mut messages = socket.start();
    let purpose = Purpose {
        what: "talk to nftables".into(),
        needs: "CONFIG_NF_TABLES",
    };
    messages.push(GETGEN, 0, &[0; 4], purpose, |_| ());
    messages.acknowledge_newest();
    socket.execute(&messages)
}

/// The sum of the packet counters in a chain's rules.
pub(super) fn packets(
    socket: &mut NetlinkSocket,
    family: TableFamily,
    chain: &str,
) -> Result<u64, LabError> {
    let mut messages = socket.start();
    let purpose = Purpose {
        what: format!("read nftables chain {chain}"),
        needs: "",
    };
    messages.push(
        GETRULE,
        NLM_F_DUMP,
        &[family.number(), 0, 0, 0],
        purpose,
        |a| {
            a.string(RULE_TABLE, TABLE);
            a.string(RULE_CHAIN, chain);
        },
    );
    let mut sum = 0;
    socket.exchange(&messages, |rule| {
        let list = rule
            .get(4..)
            .and_then(|a| attribute(a, RULE_EXPRESSIONS))
            .unwrap_or_default();
        sum += attributes(list)
            .filter_map(|(_, e)| counter(e))
            .sum::<u64>();
    })?;
    Ok(sum)
}

fn counter(expression: &[u8]) -> Option<u64> {
    if attribute(expression, EXPRESSION_NAME)? != b"counter\0" {
        return None;
    }
    let packets = attribute(attribute(expression, EXPRESSION_DATA)?, COUNTER_PACKETS)?;
    packets.try_into().ok().map(u64::from_be_bytes)
}
