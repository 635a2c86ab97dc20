//! Endpoints that share the runner's memory: in a guest.
//!
//! A processor that QEMU translates for forgets much of what it has translated
//! at each change of the address space, and a page that is copied costs some
//! thousand instructions; so in a guest an endpoint is a process like any other
//! (its own id, descriptors, signals, end) but for its memory. What would speak
//! against it elsewhere does not count there: one runner, no secrets, an end
//! soon. And it cannot die with a lock of the allocator in its hand: it runs
//! ahead of the runner, who alone could kill it, on the only processor.

use std::convert::Infallible;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{process, template};
use halfopen_sys::vfork::run_in_vfork_child;
use halfopen_sys::{inherit, passing};

/// By which plans go: a descriptor of a low number, because the endpoint begins
/// with those only that are not above it.
struct Door {
    ours: UnixStream,
    theirs: &'static UnixStream,
}

static DOOR: OnceLock<Mutex<Door>> = OnceLock::new();

/// From now on endpoints share this process's memory, if this kernel can do it
/// (close_range(), Linux 5.9). To be called before the process has many
/// descriptors.
///
/// # Errors
/// EMFILE.
pub fn share_memory() -> io::Result<()> {
    if !inherit::can_close_others() {
        return Ok(());
    }
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = Box::leak(Box::new(theirs));
    let _ = DOOR.set(Mutex::new(Door { ours, theirs }));
    Ok(())
}

/// As [`super::template::copy`]; None: endpoints do not share this process's memory.
pub(super) fn start(plan: &[u8], descriptors: &[i32]) -> Option<io::Result<i32>> {
    let door = DOOR.get()?.lock().unwrap_or_else(PoisonError::into_inner);
    Some(door.start(plan, descriptors))
}

impl Door {
    fn start(&self, plan: &[u8], descriptors: &[i32]) -> io::Result<i32> {
        passing::send(&self.ours, plan, descriptors)?;
        let theirs = self.theirs;
        // The thread lends the endpoint what the C library keeps a thread (its
        // errno, for one), and sleeps until the endpoint has ended.
        std::thread::Builder::new()
            .name("endpoint".into())
            .stack_size(STACK_OF_A_SLEEPER)
            .spawn(move || {
                let mut endpoint = || {
                    let ended = catch_unwind(AssertUnwindSafe(|| live(theirs)));
                    if let Ok(Err(e)) = ended {
                        eprintln!("endpoint failed to start: {e}");
                    }
                };
                #[allow(unsafe_code)]
                // SAFETY: `endpoint` does not unwind, starts no thread, and leaves by
                // _exit(2) or returns; what it shares with other threads is the
                // allocator and the standard streams, whose locks it does not hold
                // when it leaves.
                let lived = unsafe { run_in_vfork_child(&mut endpoint) };
                if let Err(errno) = lived {
                    let _ = passing::receive(theirs);
                    let _ = (&mut &*theirs).write_all(&(-(errno as i32)).to_le_bytes());
                }
            })?;
        template::answer(&self.ours)
    }
}

const STACK_OF_A_SLEEPER: usize = 64 << 10;

/// An endpoint's whole life.
fn live(door: &UnixStream) -> io::Result<Infallible> {
    #[allow(unsafe_code)]
    // SAFETY: this process uses no descriptor of its parent's but the door; the
    // parent's values that own others are not dropped here.
    unsafe {
        inherit::unshare_others(&[door.as_raw_fd()]);
    }
    let (plan, given) = passing::receive(door)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let own = std::process::id();
    (&mut &*door).write_all(&own.to_le_bytes())?;
    process::live(&plan, given, None)
}
