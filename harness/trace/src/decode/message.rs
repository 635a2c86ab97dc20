//! Descriptors that are passed by messages (unix(7), SCM_RIGHTS; cmsg(3)).

use super::{Memory, int_at, long_at};

/// Offsets in struct msghdr, and its size.
const CONTROL: usize = 32;
const CONTROL_LENGTH: usize = 40;
const MSGHDR: usize = 56;
/// sizeof(struct cmsghdr): length, level, type.
const CMSGHDR: usize = 16;
/// SCM_MAX_FD is 253; other messages may stand beside them.
const LONGEST: usize = 4096;

/// The descriptors in the control data of the struct msghdr at `address`.
pub(crate) fn descriptors(memory: Memory, address: u64) -> Vec<i32> {
    read(memory, address).unwrap_or_default()
}

/// Whether there is room for control data at all.
pub(crate) fn has_control(memory: Memory, address: u64) -> bool {
    memory
        .bytes(address, MSGHDR)
        .and_then(|header| long_at(&header, CONTROL_LENGTH))
        .is_some_and(|length| length >= CMSGHDR as u64)
}

fn read(memory: Memory, address: u64) -> Option<Vec<i32>> {
    let header = memory.bytes(address, MSGHDR)?;
    let length = usize::try_from(long_at(&header, CONTROL_LENGTH)?).ok()?;
    let control = memory.bytes(long_at(&header, CONTROL)?, length.min(LONGEST))?;
    Some(parse(&control))
}

fn parse(mut control: &[u8]) -> Vec<i32> {
    let mut found = Vec::new();
    while let Some(length) = long_at(control, 0) {
        let length = usize::try_from(length).unwrap_or(0);
        let Some(data) = control.get(CMSGHDR..length) else {
            break;
        };
        let kind = (int_at(control, 8), int_at(control, 12));
        if kind == (Some(libc::SOL_SOCKET), Some(libc::SCM_RIGHTS)) {
            let fds = data.chunks_exact(4).filter_map(|fd| int_at(fd, 0));
            found.extend(fds);
        }
        control = control.get(length.next_multiple_of(8)..).unwrap_or(&[]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[i32]) -> Vec<u8> {
        let mut bytes = (CMSGHDR + 4 * data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data.iter().flat_map(|fd| fd.to_ne_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn descriptors_are_found_among_other_messages() {
        let mut control = message(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[1, 2, 3]);
        control.extend(message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[7, 9]));
        assert_eq!(parse(&control), [7, 9]);
    }

    #[test]
    fn garbage_ends_the_search() {
        assert!(parse(&[]).is_empty());
        assert!(parse(&[0; 64]).is_empty());
        assert!(parse(&[0xff; 64]).is_empty());
    }
}
