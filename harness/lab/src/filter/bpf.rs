//! A packet rule as a classic BPF program for a clsact filter (bpf(4),
//! Documentation/networking/filter.rst).
//!
//! The program reads a frame from its Ethernet header on. Pure; `tc.rs` gives the
//! program to the kernel.

use std::net::IpAddr;

use super::rule::{Match, octets};
use crate::error::LabError;
use halfopen_net::Family;

/// struct sock_filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    /// The operation.
    pub code: u16,
    /// Instructions to skip if a comparison is true.
    pub jump_true: u8,
    /// Instructions to skip if it is false.
    pub jump_false: u8,
    /// The operand.
    pub operand: u32,
}

/// A classic BPF program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program(pub Vec<Instruction>);

/// TC_ACT_UNSPEC: the next filter decides; after the last one the frame passes.
const PASS: u32 = u32::MAX;
/// TC_ACT_SHOT: the frame is dropped; at egress the sending stack learns of it
/// (NET_XMIT_DROP).
const SHOT: u32 = 2;

const LD_WORD: u16 = 0x20;
const LD_HALF: u16 = 0x28;
const LD_BYTE: u16 = 0x30;
/// Loads relative to X.
const LD_HALF_X: u16 = 0x48;
const LD_BYTE_X: u16 = 0x50;
/// X = length of the IPv4 header at the operand.
const LDX_HEADER_LENGTH: u16 = 0xb1;
/// X = operand.
const LDX_IMMEDIATE: u16 = 0x01;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const JUMP_GREATER: u16 = 0x25;
const RETURN: u16 = 0x06;
/// A = length of the frame.
const LD_LENGTH: u16 = 0x80;

/// Offset of the EtherType, and of what follows it.
const ETHERTYPE: u32 = 12;
const NETWORK: u32 = 14;
/// Length of the IPv6 header.
const IPV6_HEADER: u32 = 40;
/// SKF_AD_OFF + SKF_AD_RANDOM: loading from this offset returns a random word.
const RANDOM: u32 = (-0x1000i32 + 56) as u32;

/// Where a condition leads when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// To the program's `PASS`.
    Pass,
    /// To the part that checks size and probability, and drops.
    Matched,
    /// To the part for IPv6.
    Ipv6,
}

/// An instruction whose jump targets are still names; None: the next instruction.
struct Draft {
    code: u16,
    operand: u32,
    if_true: Option<Target>,
    if_false: Option<Target>,
}

struct Builder {
    drafts: Vec<Draft>,
    labels: Vec<(Target, usize)>,
}

/// The program that drops the frames that match and passes the others.
///
/// An IPv6 packet is TCP only when TCP follows the fixed header: a packet with
/// extension headers does not match.
///
/// # Errors
/// [`LabError::Unsupported`] for `count`: a program has no memory.
/// [`LabError::Rule`] when nothing can ever match.
pub(super) fn drop_program(rule: &Match) -> Result<Program, LabError> {
    if rule.count.is_some() {
        return Err(LabError::Unsupported {
            what: "count packets with tc".into(),
            cure: "count needs nft".into(),
        });
    }
    let family = rule.checked_family()?;
    let mut b = Builder {
        drafts: Vec::new(),
        labels: Vec::new(),
    };
    if family.is_some() || rule.only_tcp() {
        b.load(LD_HALF, ETHERTYPE);
        match family {
            Some(Family::Ipv4) => b.ipv4(rule, Target::Pass),
            Some(Family::Ipv6) => b.ipv6(rule),
            None => {
                b.ipv4(rule, Target::Ipv6);
                b.label(Target::Ipv6);
                // A still holds the EtherType: the part for IPv4 was left at its
                // first comparison.
                b.ipv6(rule);
            }
        }
    }
    b.label(Target::Matched);
    if let Some(size) = rule.longer_than {
        // With cls_bpf the length includes the Ethernet header, also at ingress.
        b.load(LD_LENGTH, 0);
        b.check(
            JUMP_GREATER,
            size.saturating_add(NETWORK),
            None,
            Some(Target::Pass),
        );
    }
    if let Some(limit) = rule.threshold(u32::MAX) {
        b.load(LD_WORD, RANDOM);
        b.check(JUMP_GREATER_OR_EQUAL, limit, Some(Target::Pass), None);
    }
    b.load(RETURN, SHOT);
    b.label(Target::Pass);
    b.load(RETURN, PASS);
    Ok(b.finish())
}

impl Builder {
    fn load(&mut self, code: u16, operand: u32) {
        self.drafts.push(Draft {
            code,
            operand,
            if_true: None,
            if_false: None,
        });
    }

    fn check(&mut self, code: u16, operand: u32, yes: Option<Target>, no: Option<Target>) {
        self.drafts.push(Draft {
            code,
            operand,
            if_true: yes,
            if_false: no,
        });
    }

    fn must_equal(&mut self, operand: u32) {
        self.check(JUMP_EQUAL, operand, None, Some(Target::Pass));
    }

    fn label(&mut self, target: Target) {
        self.labels.push((target, self.drafts.len()));
    }

    /// A holds the EtherType.
    fn ipv4(&mut self, rule: &Match, other_family: Target) {
        self.check(JUMP_EQUAL, libc::ETH_P_IP as u32, None, Some(other_family));
        self.address(NETWORK + 12, rule.src);
        self.address(NETWORK + 16, rule.dst);
        if rule.only_tcp() {
            self.load(LD_BYTE, NETWORK + 9);
            self.must_equal(libc::IPPROTO_TCP as u32);
            // A later fragment has no TCP header.
            self.load(LD_HALF, NETWORK + 6);
            self.check(JUMP_ANY_BIT, 0x1fff, Some(Target::Pass), None);
            self.load(LDX_HEADER_LENGTH, NETWORK);
            self.tcp(rule);
        }
        // Jumps over the part for the other family: both outcomes lead to the same
        // place.
        self.check(JUMP_EQUAL, 0, Some(Target::Matched), Some(Target::Matched));
    }

    /// A holds the EtherType.
    fn ipv6(&mut self, rule: &Match) {
        self.must_equal(libc::ETH_P_IPV6 as u32);
        self.address(NETWORK + 8, rule.src);
        self.address(NETWORK + 24, rule.dst);
        if rule.only_tcp() {
            self.load(LD_BYTE, NETWORK + 6);
            self.must_equal(libc::IPPROTO_TCP as u32);
            self.load(LDX_IMMEDIATE, IPV6_HEADER);
            self.tcp(rule);
        }
    }

    fn address(&mut self, offset: u32, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        for (word, at) in octets(address).chunks_exact(4).zip((offset..).step_by(4)) {
            self.load(LD_WORD, at);
            self.must_equal(word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        }
    }

    /// X holds the length of the IP header.
    fn tcp(&mut self, rule: &Match) {
        for (offset, port) in [(0, rule.sport), (2, rule.dport)] {
            if let Some(port) = port {
                self.load(LD_HALF_X, NETWORK + offset);
                self.must_equal(u32::from(port));
            }
        }
        if rule.tcp_flags() != 0 {
            self.load(LD_BYTE_X, NETWORK + 13);
            self.load(AND, u32::from(rule.tcp_flags()));
            self.must_equal(u32::from(rule.tcp_flags_set));
        }
    }

    fn finish(self) -> Program {
        let distance = |from: usize, target: Option<Target>| {
            let Some(target) = target else { return 0 };
            let (_, to) = self
                .labels
                .iter()
                .find(|(label, _)| *label == target)
                .expect("every part that is jumped to is in the program");
            // The longest program has 60 instructions.
            u8::try_from(to - from - 1).expect("a jump is forward and below 256")
        };
        let instruction = |(at, draft): (usize, &Draft)| Instruction {
            code: draft.code,
            jump_true: distance(at, draft.if_true),
            jump_false: distance(at, draft.if_false),
            operand: draft.operand,
        };
        Program(self.drafts.iter().enumerate().map(instruction).collect())
    }
}

impl Program {
    /// The program as the kernel reads it: struct sock_filter by struct.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        for i in &self.0 {
            bytes.extend_from_slice(&i.code.to_ne_bytes());
            bytes.extend_from_slice(&[i.jump_true, i.jump_false]);
            bytes.extend_from_slice(&i.operand.to_ne_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
