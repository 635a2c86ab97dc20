//! The descriptors and timeouts of poll(), select() and epoll_wait().

use std::time::Duration;

use super::{Memory, int, int_at, long_at};
use crate::{CallName, Readiness};

/// More descriptors in one poll() are not looked at.
const MOST: usize = 4096;

/// The waited-for or ready events of one descriptor.
pub(crate) type Polled = (i32, Readiness);

/// What poll() and ppoll() wait for.
pub(crate) fn poll_requested(memory: Memory, args: &[u64; 6]) -> Vec<Polled> {
    // struct pollfd: int fd; short events; short revents.
    polled(memory, args, 4)
}

/// What they found.
pub(crate) fn poll_ready(memory: Memory, args: &[u64; 6]) -> Vec<Polled> {
    let mut ready = polled(memory, args, 6);
    ready.retain(|(_, events)| *events != Readiness(0));
    ready
}

fn polled(memory: Memory, args: &[u64; 6], offset: usize) -> Vec<Polled> {
    let count = usize::try_from(args[1]).unwrap_or(0).min(MOST);
    if count == 0 {
        return Vec::new();
    }
    let Some(bytes) = memory.bytes(args[0], 8 * count) else {
        return Vec::new();
    };
    let one = |entry: &[u8]| {
        let events = u16::from_ne_bytes(*entry.get(offset..)?.first_chunk()?);
        Some((int_at(entry, 0)?, Readiness(events.into())))
    };
    bytes
        .chunks_exact(8)
        .filter_map(one)
        // A negative descriptor is ignored by poll(2).
        .filter(|(fd, _)| *fd >= 0)
        .collect()
}

/// The sets of select() and pselect6(), before or after: the kernel writes over them.
pub(crate) fn select_sets(memory: Memory, args: &[u64; 6]) -> Vec<Polled> {
    let count = usize::try_from(int(args[0])).unwrap_or(0).min(MOST);
    // fd_set is made of longs.
    let length = count.div_ceil(64) * 8;
    let kinds = [libc::POLLIN, libc::POLLOUT, libc::POLLPRI];
    let mut events = vec![0_u32; count];
    for (address, kind) in args[1..4].iter().zip(kinds) {
        if length == 0 {
            break;
        }
        let Some(set) = memory.bytes(*address, length) else {
            continue;
        };
        for (fd, events) in events.iter_mut().enumerate() {
            if set[fd / 8] & (1 << (fd % 8)) != 0 {
                *events |= u32::from(kind.cast_unsigned());
            }
        }
    }
    (0..)
        .zip(events)
        .filter(|(_, events)| *events != 0)
        .map(|(fd, events)| (fd, Readiness(events)))
        .collect()
}

/// What epoll_wait() gave: events and the program's data.
pub(crate) fn epoll_ready(memory: Memory, args: &[u64; 6], count: i64) -> Vec<(Readiness, u64)> {
    let count = usize::try_from(count).unwrap_or(0).min(MOST);
    let size = size_of::<libc::epoll_event>();
    if count == 0 {
        return Vec::new();
    }
    let Some(bytes) = memory.bytes(args[1], size * count) else {
        return Vec::new();
    };
    bytes.chunks_exact(size).filter_map(epoll_event).collect()
}

/// The argument of epoll_ctl().
pub(crate) fn epoll_argument(memory: Memory, address: u64) -> Option<(Readiness, u64)> {
    epoll_event(&memory.bytes(address, size_of::<libc::epoll_event>())?)
}

/// struct epoll_event: packed on x86-64, so that the data's place is at its end.
fn epoll_event(bytes: &[u8]) -> Option<(Readiness, u64)> {
    let events = int_at(bytes, 0)?.cast_unsigned();
    Some((Readiness(events), long_at(bytes, bytes.len() - 8)?))
}

/// How long the call waits at most; None: for ever.
pub(crate) fn timeout(memory: Memory, name: CallName, args: &[u64; 6]) -> Option<Duration> {
    match name {
        CallName::Poll => milliseconds(args[2]),
        CallName::EpollWait | CallName::EpollPwait => milliseconds(args[3]),
        CallName::Ppoll => pair(memory, args[2], 1),
        CallName::EpollPwait2 => pair(memory, args[3], 1),
        CallName::Pselect6 => pair(memory, args[4], 1),
        CallName::Select => pair(memory, args[4], 1000),
        _ => None,
    }
}

fn milliseconds(argument: u64) -> Option<Duration> {
    let time = u64::try_from(int(argument)).ok()?;
    Some(Duration::from_millis(time))
}

/// Seconds and a fraction: struct timespec, or struct timeval with 1000 ns a unit.
fn pair(memory: Memory, address: u64, unit_ns: u64) -> Option<Duration> {
    let seconds = memory.long(address)?;
    let fraction = memory.long(address + 8)?;
    Some(Duration::from_secs(seconds) + Duration::from_nanos(fraction.saturating_mul(unit_ns)))
}
