//! In a guest, starts endpoints that share the runner's memory.
//!
//! QEMU discards much of its translated code at each change of the address space,
//! and copying a page costs some thousand instructions. So in a guest an endpoint is
//! a process with its own id, descriptors, signals and end, but with the runner's
//! memory. The usual objections do not hold there: there is one runner, there are no
//! secrets, and the guest ends soon. An endpoint cannot be killed while it holds a
//! lock of the allocator: only the runner could kill it, and on the only processor
//! the endpoint runs before the runner.

use std::convert::Infallible;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{process, template};
use halfopen_sys::vfork::run_in_vfork_child;
use halfopen_sys::{inherit, passing};

/// The socket pair that plans are sent by. Its descriptors are low numbers, because
/// an endpoint starts only with descriptors that are not above them.
struct PlanSocket {
    ours: UnixStream,
    theirs: &'static UnixStream,
}

static PLAN_SOCKET: OnceLock<Mutex<PlanSocket>> = OnceLock::new();

/// From now on endpoints share this process's memory, if the kernel can do that
/// (close_range(), Linux 5.9). Call it before the process has many descriptors.
///
/// # Errors
/// EMFILE.
pub fn share_memory() -> io::Result<()> {
    if !inherit::can_close_others() {
        return Ok(());
    }
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = Box::leak(Box::new(theirs));
    let _ = PLAN_SOCKET.set(Mutex::new(PlanSocket { ours, theirs }));
    Ok(())
}

/// As [`super::template::copy`]; None: endpoints do not share this process's memory.
pub(super) fn start(plan: &[u8], descriptors: &[i32]) -> Option<io::Result<i32>> {
    let socket = PLAN_SOCKET
        .get()?
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Some(socket.start(plan, descriptors))
}

impl PlanSocket {
    fn start(&self, plan: &[u8], descriptors: &[i32]) -> io::Result<i32> {
        passing::send(&self.ours, plan, descriptors)?;
        let theirs = self.theirs;
        // The endpoint uses what the C library keeps for this thread (errno, for one).
        // The thread sleeps until the endpoint has ended.
        std::thread::Builder::new()
            .name("endpoint".into())
            .stack_size(SLEEPER_STACK_BYTES)
            .spawn(move || {
                let mut endpoint = || {
                    let ended = catch_unwind(AssertUnwindSafe(|| run_endpoint(theirs)));
                    if let Ok(Err(e)) = ended {
                        eprintln!("endpoint failed to start: {e}");
                    }
                };
                #[allow(unsafe_code)]
                // SAFETY: `endpoint` does not unwind, starts no thread, and leaves by
                // _exit(2) or returns; what it shares with other threads is the
                // allocator and the standard streams, whose locks it does not hold
                // when it leaves.
                let shared = unsafe { run_in_vfork_child(&mut endpoint) };
                if let Err(errno) = shared {
                    let _ = passing::receive(theirs);
                    let _ = (&mut &*theirs).write_all(&(-(errno as i32)).to_le_bytes());
                }
            })?;
        template::read_answer(&self.ours)
    }
}

const SLEEPER_STACK_BYTES: usize = 64 << 10;

/// Receives the plan, answers with the process id, and becomes the endpoint.
fn run_endpoint(socket: &UnixStream) -> io::Result<Infallible> {
    #[allow(unsafe_code)]
    // SAFETY: this process uses no descriptor of its parent's but the socket; the
    // parent's values that own others are not dropped here.
    unsafe {
        inherit::unshare_others(&[socket.as_raw_fd()]);
    }
    let (plan, given) = passing::receive(socket)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let own = std::process::id();
    (&mut &*socket).write_all(&own.to_le_bytes())?;
    process::run_endpoint(&plan, given, None)
}
