//! Stands in for `filter` until that room is merged: joins and blocks ports,
//! nothing else.

use std::collections::BTreeMap;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::error::LabError;
use super::namespace::Namespace;

/// A port of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRef {
    /// The interface's name.
    pub name: String,
    /// Its index in the wire's namespace.
    pub ifindex: u32,
}

/// nftables of one namespace.
pub struct Filter {
    socket: Socket,
    ports: BTreeMap<String, (u32, bool)>,
    exists: bool,
}

fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(((value.len() + 4) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attr(kind | 0x8000, &parts.concat())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attr(kind, &[value.as_bytes(), &[0]].concat())
}

fn be(kind: u16, value: u32) -> Vec<u8> {
    attr(kind, &value.to_be_bytes())
}

fn message(out: &mut Vec<u8>, kind: u16, flags: u16, family: u8, res: u16, attrs: &[Vec<u8>]) {
    let body = attrs.concat();
    out.extend((20 + body.len() as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend((flags | 1).to_ne_bytes());
    out.extend(1u32.to_ne_bytes());
    out.extend(0u32.to_ne_bytes());
    out.extend([family, 0]);
    out.extend(res.to_be_bytes());
    out.extend(body);
}

const TABLE: &str = "halfopen";

impl Filter {
    /// Opens nftables in `ns`.
    pub fn open(ns: &Namespace) -> Result<Filter, LabError> {
        let socket = ns
            .enter(|| Socket::new(NETLINK_NETFILTER))?
            .map_err(|e| LabError::system("open nftables", e))?;
        Ok(Filter {
            socket,
            ports: BTreeMap::new(),
            exists: false,
        })
    }

    /// Joins pairs of ports.
    pub fn join(&mut self, pairs: &[(&PortRef, &PortRef)]) -> Result<(), LabError> {
        for (a, b) in pairs {
            for (port, peer) in [(a, b), (b, a)] {
                let blocked = self.ports.get(&port.name).is_some_and(|p| p.1);
                self.ports
                    .insert(port.name.clone(), (peer.ifindex, blocked));
            }
        }
        let mut out = Vec::new();
        message(&mut out, 0x10, 0, 0, 10, &[]);
        if self.exists {
            message(&mut out, 0x0a02, 0, 5, 0, &[text(1, TABLE)]);
        }
        message(&mut out, 0x0a00, 0x400, 5, 0, &[text(1, TABLE)]);
        for name in self.ports.keys() {
            let hook = nest(4, &[be(1, 0), be(2, 0), text(3, name)]);
            let chain = [text(1, TABLE), text(3, name), hook, text(7, "filter")];
            message(&mut out, 0x0a03, 0x400, 5, 0, &chain);
        }
        for name in self.ports.keys() {
            self.rule(&mut out, name);
        }
        self.exists = true;
        self.commit(out)
    }

    fn rule(&self, out: &mut Vec<u8>, name: &str) {
        let (to, blocked) = self.ports[name];
        let immediate = |dreg, data| {
            nest(
                1,
                &[
                    text(1, "immediate"),
                    nest(2, &[be(1, dreg), nest(2, &[data])]),
                ],
            )
        };
        let expressions = if blocked {
            nest(4, &[immediate(0, nest(2, &[be(1, 0)]))])
        } else {
            let fwd = nest(1, &[text(1, "fwd"), nest(2, &[be(1, 1)])]);
            nest(4, &[immediate(1, attr(1, &to.to_ne_bytes())), fwd])
        };
        message(
            out,
            0x0a06,
            0xc04,
            5,
            0,
            &[text(1, TABLE), text(2, name), expressions],
        );
    }

    /// Blocks or passes what enters ports.
    pub fn block(&mut self, ports: &[(&str, bool)]) -> Result<(), LabError> {
        let mut out = Vec::new();
        message(&mut out, 0x10, 0, 0, 10, &[]);
        for (name, blocked) in ports {
            if let Some(port) = self.ports.get_mut(*name) {
                port.1 = *blocked;
                message(&mut out, 0x0a08, 4, 5, 0, &[text(1, TABLE), text(2, name)]);
                self.rule(&mut out, name);
            }
        }
        self.commit(out)
    }

    fn commit(&self, mut out: Vec<u8>) -> Result<(), LabError> {
        message(&mut out, 0x11, 0, 0, 10, &[]);
        let failed = |e| LabError::system("change nftables", e);
        self.socket
            .send_to(&out, &SocketAddr::new(0, 0), 0)
            .map_err(failed)?;
        let mut result = Ok(());
        let mut buffer = Vec::with_capacity(65536);
        let mut first = true;
        loop {
            buffer.clear();
            let flags = if first { 0 } else { libc::MSG_DONTWAIT };
            match self.socket.recv(&mut buffer, flags) {
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return result,
                Err(e) => return Err(failed(e)),
                Ok(_) => {
                    first = false;
                    let code = i32::from_ne_bytes([buffer[16], buffer[17], buffer[18], buffer[19]]);
                    if code != 0 && result.is_ok() {
                        result = Err(failed(std::io::Error::from_raw_os_error(-code)));
                    }
                }
            }
        }
    }
}
