//! The bytes of netlink messages: headers and attributes, written and read
//! (RFC 3549; include/uapi/linux/netlink.h). Pure.

use netlink_packet_core::{NLA_F_NESTED, NLA_TYPE_MASK, NLM_F_ACK, NLM_F_REQUEST};

/// Length of struct nlmsghdr.
pub(crate) const HEADER: usize = 16;

/// What a message asks for, for the error when the kernel refuses.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// A fragment after "failed to".
    pub what: String,
    /// Kernel options without which the message is answered with ENOENT,
    /// EOPNOTSUPP or the like; empty if that would mean something else.
    pub needs: &'static str,
}

/// Messages that go to the kernel in one datagram.
#[derive(Debug)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    first: u32,
    purposes: Vec<Purpose>,
    /// Where the newest message starts.
    newest: usize,
}

impl Messages {
    /// No message yet; the first one will have this sequence number.
    pub fn new(first: u32) -> Self {
        Messages {
            bytes: Vec::with_capacity(2048),
            first,
            purposes: Vec::new(),
            newest: 0,
        }
    }

    /// Adds a message: `header` is what follows struct nlmsghdr (nfgenmsg,
    /// tcmsg), `attributes` adds the rest.
    pub fn push(
        &mut self,
        kind: u16,
        flags: u16,
        header: &[u8],
        purpose: Purpose,
        attributes: impl FnOnce(&mut Attributes),
    ) {
        self.newest = self.bytes.len();
        let sequence = self.next_sequence();
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(header);
        attributes(&mut Attributes {
            bytes: &mut self.bytes,
        });
        let length = (self.bytes.len() - self.newest) as u32;
        self.bytes[self.newest..self.newest + 4].copy_from_slice(&length.to_ne_bytes());
        self.purposes.push(purpose);
    }

    /// Asks for an acknowledgment of the newest message, and only of that one.
    pub fn acknowledge_newest(&mut self) {
        let at = self.newest + 6;
        let flags = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]) | NLM_F_ACK;
        self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
    }

    /// The sequence number of the message that comes next.
    pub fn next_sequence(&self) -> u32 {
        self.first.wrapping_add(self.purposes.len() as u32)
    }

    /// What goes to the kernel.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the message with this sequence number is for, if it is one of these.
    pub fn purpose(&self, sequence: u32) -> Option<&Purpose> {
        self.purposes
            .get(sequence.wrapping_sub(self.first) as usize)
    }
}

/// Adds attributes to a message.
pub(crate) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    /// An attribute with these bytes.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.nest_as(kind, |inner| inner.bytes.extend_from_slice(value));
    }

    /// A string with its NUL.
    pub fn string(&mut self, kind: u16, value: &str) {
        self.nest_as(kind, |inner| {
            inner.bytes.extend_from_slice(value.as_bytes());
            inner.bytes.push(0);
        });
    }

    /// A number in network byte order, as nftables wants all of its numbers.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A number in this machine's byte order, as rtnetlink wants them.
    pub fn ne32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// An attribute that holds attributes.
    pub fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes)) {
        self.nest_as(kind | NLA_F_NESTED, inner);
    }

    /// Bytes without an attribute's header, as netem's options begin with and
    /// IFLA_INFO_DATA's peer has them.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    fn nest_as(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0u16.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        inner(&mut Attributes { bytes: self.bytes });
        // Nothing here comes near 64 KiB: names are below 256 bytes and
        // programs below 4096 instructions of 8 bytes.
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// The attributes in `bytes`: type without its flags, value. Ends at the first
/// one that does not fit.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*rest.first()?, *rest.get(1)?]));
        let kind = u16::from_ne_bytes([*rest.get(2)?, *rest.get(3)?]) & NLA_TYPE_MASK;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(k, _)| *k == kind)
        .map(|(_, value)| value)
}

/// A message from the kernel.
pub(crate) struct Answer<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// What follows struct nlmsghdr.
    pub payload: &'a [u8],
    /// The message with its header.
    pub whole: &'a [u8],
}

/// The messages of a datagram. Ends at the first one that does not fit.
pub(crate) fn answers(bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let u16_at = |at: usize| Some(u16::from_ne_bytes(rest.get(at..at + 2)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_ne_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        let length = u32_at(0)? as usize;
        let answer = Answer {
            kind: u16_at(4)?,
            flags: u16_at(6)?,
            sequence: u32_at(8)?,
            payload: rest.get(HEADER..length)?,
            whole: rest.get(..length)?,
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(answer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose() -> Purpose {
        Purpose {
            what: "test".into(),
            needs: "",
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut messages = Messages::new(u32::MAX);
        messages.push(7, 0, &[1, 2, 3, 4], purpose(), |a| {
            a.string(1, "abcd");
            a.nest(2, |a| a.be32(3, 0x0102_0304));
        });
        messages.push(8, 0, &[], purpose(), |_| ());
        messages.acknowledge_newest();
        let read: Vec<_> = answers(messages.bytes()).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].kind, read[0].sequence, read[0].flags),
            (7, u32::MAX, NLM_F_REQUEST)
        );
        assert_eq!((read[1].kind, read[1].sequence), (8, 0));
        assert_eq!(read[1].flags, NLM_F_REQUEST | NLM_F_ACK);
        assert_eq!(attribute(&read[0].payload[4..], 1), Some(&b"abcd\0"[..]));
        let nested = attribute(&read[0].payload[4..], 2).expect("written above");
        assert_eq!(attribute(nested, 3), Some(&[1, 2, 3, 4][..]));
        assert!(messages.purpose(0).is_some());
        assert!(messages.purpose(1).is_none());
    }

    #[test]
    fn truncated_input_ends_the_reading() {
        assert_eq!(attributes(&[8, 0, 1, 0, 9]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(answers(&[0; 40]).count(), 0);
        assert_eq!(answers(&[200, 0, 0, 0, 1, 0]).count(), 0);
    }
}
