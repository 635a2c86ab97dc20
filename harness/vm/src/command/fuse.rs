//! The messages of FUSE: requests taken apart, answers put together. The layouts are
//! those of include/uapi/linux/fuse.h, version 7.31, which every kernel from 5.4 on
//! speaks. Numbers are the processor's own, little-endian here.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// Version 7.31.
pub(super) const MAJOR: u32 = 7;
pub(super) const MINOR: u32 = 31;

/// The most bytes that a message reads or writes.
pub(super) const MOST_BYTES: u32 = 1 << 20;

/// Answers stay valid for so long, seconds: for the whole run, so that it sees each file
/// as it was when it first looked, and asks once.
const VALID: u64 = 100 * 365 * 86_400;

/// Operations (enum fuse_opcode).
pub(super) mod op {
    pub(in super::super) const LOOKUP: u32 = 1;
    pub(in super::super) const FORGET: u32 = 2;
    pub(in super::super) const GETATTR: u32 = 3;
    pub(in super::super) const SETATTR: u32 = 4;
    pub(in super::super) const READLINK: u32 = 5;
    pub(in super::super) const SYMLINK: u32 = 6;
    pub(in super::super) const MKDIR: u32 = 9;
    pub(in super::super) const UNLINK: u32 = 10;
    pub(in super::super) const RMDIR: u32 = 11;
    pub(in super::super) const RENAME: u32 = 12;
    pub(in super::super) const LINK: u32 = 13;
    pub(in super::super) const OPEN: u32 = 14;
    pub(in super::super) const READ: u32 = 15;
    pub(in super::super) const WRITE: u32 = 16;
    pub(in super::super) const STATFS: u32 = 17;
    pub(in super::super) const RELEASE: u32 = 18;
    pub(in super::super) const FSYNC: u32 = 20;
    pub(in super::super) const INIT: u32 = 26;
    pub(in super::super) const OPENDIR: u32 = 27;
    pub(in super::super) const READDIR: u32 = 28;
    pub(in super::super) const RELEASEDIR: u32 = 29;
    pub(in super::super) const FSYNCDIR: u32 = 30;
    pub(in super::super) const CREATE: u32 = 35;
    pub(in super::super) const INTERRUPT: u32 = 36;
    pub(in super::super) const BATCH_FORGET: u32 = 42;
    pub(in super::super) const RENAME2: u32 = 45;
}

/// A request (struct fuse_in_header) and what follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) operation: u32,
    pub(super) unique: u64,
    pub(super) node: u64,
    pub(super) body: Body<'a>,
}

impl<'a> Message<'a> {
    /// None: it is cut off.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = Body(bytes.get(..40)?);
        Some(Message {
            operation: header.u32(4),
            unique: header.u64(8),
            node: header.u64(16),
            body: Body(&bytes[40..]),
        })
    }

    /// Whether the kernel waits for an answer.
    pub(super) fn is_answered(&self) -> bool {
        ![op::FORGET, op::BATCH_FORGET, op::INTERRUPT].contains(&self.operation)
    }

    /// The answer (struct fuse_out_header).
    pub(super) fn answer(&self, result: Result<Vec<u8>, i32>) -> Vec<u8> {
        let (error, body) = match result {
            Ok(body) => (0, body),
            Err(errno) => (-errno, Vec::new()),
        };
        let mut answer = Vec::with_capacity(16 + body.len());
        answer.extend(
            u32::try_from(16 + body.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        answer.extend(error.to_le_bytes());
        answer.extend(self.unique.to_le_bytes());
        answer.extend(body);
        answer
    }
}

/// The fields of a message, by their offsets; what is not there is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a>(pub(super) &'a [u8]);

impl<'a> Body<'a> {
    pub(super) fn u32(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(super) fn rest(&self, at: usize) -> &'a [u8] {
        self.0.get(at..).unwrap_or(&[])
    }

    /// The name at an offset, and the one behind it.
    pub(super) fn names(&self, at: usize) -> (&'a OsStr, &'a OsStr) {
        let mut parts = self.rest(at).split(|byte| *byte == 0);
        let mut name = || OsStr::from_bytes(parts.next().unwrap_or(&[]));
        (name(), name())
    }
}

/// struct fuse_init_out.
pub(super) fn init(asked: Body<'_>) -> Vec<u8> {
    // ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES, PARALLEL_DIROPS, MAX_PAGES,
    // CACHE_SYMLINKS: those that the kernel offers.
    let wanted = 1 | 1 << 3 | 1 << 5 | 1 << 18 | 1 << 22 | 1 << 23;
    let mut out = Vec::new();
    for number in [
        MAJOR,
        MINOR,
        asked.u32(8).min(MOST_BYTES),
        asked.u32(12) & wanted,
    ] {
        out.extend(number.to_le_bytes());
    }
    // max_background and congestion_threshold.
    out.extend(16_u16.to_le_bytes());
    out.extend(12_u16.to_le_bytes());
    out.extend(MOST_BYTES.to_le_bytes());
    // Times have this granularity, nanoseconds.
    out.extend(1_u32.to_le_bytes());
    let pages = u16::try_from(MOST_BYTES / 4096).unwrap_or(u16::MAX);
    out.extend(pages.to_le_bytes());
    out.resize(64, 0);
    out
}

/// struct fuse_attr.
fn attributes(node: u64, of: &Metadata) -> Vec<u8> {
    let mut out = Vec::with_capacity(88);
    let times = [of.atime(), of.mtime(), of.ctime()].map(i64::cast_unsigned);
    for number in [node, of.size(), of.blocks()].into_iter().chain(times) {
        out.extend(number.to_le_bytes());
    }
    let ns = |ns: i64| u32::try_from(ns).unwrap_or(0);
    let links = u32::try_from(of.nlink()).unwrap_or(u32::MAX);
    let device = u32::try_from(of.rdev()).unwrap_or(0);
    for number in [
        ns(of.atime_nsec()),
        ns(of.mtime_nsec()),
        ns(of.ctime_nsec()),
        of.mode(),
        links,
        of.uid(),
        of.gid(),
        device,
        4096,
        0,
    ] {
        out.extend(number.to_le_bytes());
    }
    out
}

/// struct fuse_attr_out.
pub(super) fn attributes_answer(node: u64, of: &Metadata) -> Vec<u8> {
    let mut out = Vec::with_capacity(104);
    out.extend(VALID.to_le_bytes());
    out.extend([0; 8]);
    out.extend(attributes(node, of));
    out
}

/// struct fuse_entry_out; None: there is no such name, which is remembered, too.
pub(super) fn entry(found: Option<(u64, &Metadata)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let node = found.map_or(0, |(node, _)| node);
    for number in [node, 0, VALID, VALID, 0] {
        out.extend(number.to_le_bytes());
    }
    match found {
        Some((node, of)) => out.extend(attributes(node, of)),
        None => out.extend([0; 88]),
    }
    out
}

/// How the kernel treats an open file (FOPEN_*).
#[derive(Debug, Clone, Copy)]
pub(super) enum Opened {
    /// What it has read stays valid.
    Cached,
    /// It asks for each read, and cannot seek.
    Stream,
    /// A directory whose list stays valid.
    Directory,
}

/// struct fuse_open_out.
pub(super) fn opened(handle: u64, how: Opened) -> Vec<u8> {
    let flags: u32 = match how {
        Opened::Cached => 1 << 1,
        Opened::Stream => 1 | 1 << 2 | 1 << 4,
        Opened::Directory => 1 << 1 | 1 << 3,
    };
    let mut out = handle.to_le_bytes().to_vec();
    out.extend(flags.to_le_bytes());
    out.extend([0; 4]);
    out
}

/// struct fuse_write_out.
pub(super) fn written(count: usize) -> Vec<u8> {
    let mut out = u32::try_from(count)
        .unwrap_or(u32::MAX)
        .to_le_bytes()
        .to_vec();
    out.extend([0; 4]);
    out
}

/// struct fuse_dirent: false when it does not fit into `most` bytes any more. `kind` is
/// the file's type as in its mode.
pub(super) fn directory_entry(
    out: &mut Vec<u8>,
    most: usize,
    (next, kind, name): (u64, u32, &OsStr),
) -> bool {
    /// An inode number that is not known (FUSE_UNKNOWN_INO).
    const UNKNOWN: u64 = 0xffff_ffff;
    let padded = (24 + name.len()).next_multiple_of(8);
    if out.len() + padded > most {
        return false;
    }
    let end = out.len() + padded;
    out.extend(UNKNOWN.to_le_bytes());
    out.extend(next.to_le_bytes());
    out.extend(u32::try_from(name.len()).unwrap_or(0).to_le_bytes());
    // DT_* of readdir(3) is the type in a mode, shifted.
    out.extend(((kind >> 12) & 0xf).to_le_bytes());
    out.extend(name.as_bytes());
    out.resize(end, 0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_sizes_of_the_kernels_structures() {
        let metadata = std::fs::metadata("/").expect("it is there");
        assert_eq!(init(Body(&[])).len(), 64);
        assert_eq!(attributes_answer(1, &metadata).len(), 104);
        assert_eq!(entry(Some((1, &metadata))).len(), 128);
        assert_eq!(entry(None).len(), 128);
        assert_eq!(opened(1, Opened::Cached).len(), 16);
        assert_eq!(written(1).len(), 8);
        let mut list = Vec::new();
        assert!(directory_entry(
            &mut list,
            32,
            (1, 0o040_000, OsStr::new("etc"))
        ));
        assert!(!directory_entry(
            &mut list,
            32,
            (2, 0o040_000, OsStr::new("usr"))
        ));
        assert_eq!((list.len(), list[20]), (32, 4));
    }

    #[test]
    fn a_message_is_taken_apart() {
        let mut bytes = vec![0; 40];
        (bytes[4], bytes[8], bytes[16]) = (1, 7, 3);
        assert!(Message::parse(&bytes[..39]).is_none());
        bytes.extend(b"a\0bc\0");
        let message = Message::parse(&bytes).expect("whole");
        assert_eq!((message.operation, message.unique, message.node), (1, 7, 3));
        assert_eq!(message.body.names(0), (OsStr::new("a"), OsStr::new("bc")));
        let refused = message.answer(Err(2));
        assert_eq!(
            (refused.len(), refused[4..8].to_vec()),
            (16, (-2_i32).to_le_bytes().to_vec())
        );
    }
}
