//! Messages between processes that carry descriptors (SCM_RIGHTS, unix(7)).
//! The runner sends each endpoint its plan and its descriptors so.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The most descriptors that one message can carry: SCM_MAX_FD of
/// include/net/scm.h.
pub const MOST: usize = 253;

/// A message's length in bytes, little-endian, in front of its content.
type Head = [u8; 4];

/// Sends `content` with copies of `descriptors`.
///
/// # Errors
/// InvalidInput above 4 GiB or [`MOST`] descriptors; EPIPE when the other
/// end is closed.
pub fn send(socket: &UnixStream, content: &[u8], descriptors: &[RawFd]) -> io::Result<()> {
    let too_much = || io::Error::from(io::ErrorKind::InvalidInput);
    let head = u32::try_from(content.len())
        .map_err(|_| too_much())?
        .to_le_bytes();
    if descriptors.len() > MOST {
        return Err(too_much());
    }
    let parts = [IoSlice::new(&head), IoSlice::new(content)];
    let rights = [ControlMessage::ScmRights(descriptors)];
    let sent = loop {
        // Without SIGPIPE, whose disposition belongs to the program.
        match sendmsg::<()>(
            socket.as_raw_fd(),
            &parts,
            &rights,
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Ok(sent) => break sent,
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    };
    // A stream may take a part; the descriptors went with its first byte.
    let mut rest = head.get(sent..).unwrap_or_default();
    (&mut &*socket).write_all(rest)?;
    rest = content
        .get(sent.saturating_sub(head.len())..)
        .unwrap_or_default();
    (&mut &*socket).write_all(rest)
}

/// Waits for a message of [`send`]: its content and its descriptors, which are
/// close-on-exec. None: the other end was closed.
///
/// # Errors
/// Of recvmsg(2); UnexpectedEof within a message; EMFILE when the descriptors
/// are more than this process may have.
pub fn receive(socket: &UnixStream) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut head = Head::default();
    let mut control = nix::cmsg_space!([RawFd; MOST]);
    let mut descriptors = Vec::new();
    let got = loop {
        let mut part = [IoSliceMut::new(&mut head)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(socket.as_raw_fd(), &mut part, Some(&mut control), flags)
        {
            Ok(message) => message,
            Err(nix::Error::EINTR) => continue,
            Err(e) => return Err(e.into()),
        };
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just made them for this process, and
                // nobody else has seen their numbers.
                descriptors.extend(
                    numbers
                        .iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }),
                );
            }
        }
        if message.flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(nix::Error::EMFILE.into());
        }
        break message.bytes;
    };
    if got == 0 {
        return Ok(None);
    }
    (&mut &*socket).read_exact(head.get_mut(got..).unwrap_or_default())?;
    let mut content = vec![0; u32::from_le_bytes(head) as usize];
    (&mut &*socket).read_exact(&mut content)?;
    Ok(Some((content, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_descriptors_arrive() {
        let (here, there) = UnixStream::pair().expect("descriptors");
        let (reader, writer) = nix::unistd::pipe().expect("descriptors");
        let long = vec![7; 1 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                send(&here, b"short", &[]).expect("somebody hears");
                send(&here, &long, &[writer.as_raw_fd()]).expect("somebody hears");
            });
            let (content, descriptors) = receive(&there).expect("it came").expect("not the end");
            assert_eq!((content.as_slice(), descriptors.len()), (&b"short"[..], 0));
            let (content, descriptors) = receive(&there).expect("it came").expect("not the end");
            assert_eq!((content.len(), descriptors.len()), (long.len(), 1));
            nix::unistd::write(&descriptors[0], b"x").expect("the pipe's other end is here");
        });
        let mut byte = [0];
        assert_eq!(nix::unistd::read(&reader, &mut byte), Ok(1));
        drop(here);
        assert!(receive(&there).expect("an end is no error").is_none());
    }
}
