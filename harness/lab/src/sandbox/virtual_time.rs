//! The same program in a guest, in virtual time or on another kernel, when the
//! environment asks for it. The command `halfopen` runs guests: it is this crate's
//! only use of another program, because QEMU and kernels are not a library's business.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use halfopen_sys::guest::is_guest;
use halfopen_sys::process::exit_now;

/// `virtual`, or `real` as without it.
const TIME: &str = "HALFOPEN_TIME";
/// A kernel as `halfopen exec --kernel` takes it; then time is virtual.
const KERNEL: &str = "HALFOPEN_KERNEL";
/// The path of the command.
const COMMAND: &str = "HALFOPEN";

/// Whether this program is in a guest of halfopen's, where waiting takes no real time:
/// a test that would wait for minutes can shorten timers elsewhere.
pub fn is_virtual_time() -> bool {
    is_guest()
}

/// Executes `halfopen exec` with this program and its arguments; returns when nothing
/// asks for it, or inside the guest. On an error it says what to do and exits.
pub(super) fn become_guest_if_asked() {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let (time, kernel) = (set(TIME), set(KERNEL));
    match wanted(time.as_deref(), kernel.as_deref()) {
        Ok(false) => return,
        Ok(true) => {}
        Err(why) => {
            eprintln!("error: {why}");
            exit_now(2);
        }
    }
    // A list of tests is the same everywhere, and nextest asks for two of each program.
    if is_guest() || env::args_os().any(|word| word == "--list") {
        return;
    }
    let command = halfopen();
    let program = env::current_exe().map_or_else(|_| "/proc/self/exe".into(), OsString::from);
    let mut halfopen = Command::new(&command);
    halfopen.args(["exec", "--time", "virtual"]);
    if let Some(kernel) = kernel {
        halfopen.arg("--kernel").arg(kernel);
    }
    halfopen.arg("--").arg(program).args(env::args_os().skip(1));
    let e = halfopen.exec();
    eprintln!("error: failed to run {}: {e}", command.display());
    if e.kind() == io::ErrorKind::NotFound {
        eprintln!("  cure: {CURE}; without {TIME} and {KERNEL} the tests run here, in real time");
    }
    exit_now(3);
}

/// The command.
pub(crate) fn halfopen() -> OsString {
    let named = env::var_os(COMMAND).filter(|value| !value.is_empty());
    named.unwrap_or_else(|| "halfopen".into())
}

/// What to do when it is not found.
pub(crate) const CURE: &str = "put the command halfopen into PATH (`cargo install --locked --path harness/cli` in a \
    clone of its repository), or name it by HALFOPEN=/path/to/halfopen";

/// Whether a guest is asked for.
fn wanted(time: Option<&OsStr>, kernel: Option<&OsStr>) -> Result<bool, String> {
    match time.map(|time| time.to_string_lossy()) {
        None => Ok(kernel.is_some()),
        Some(time) if time == "virtual" => Ok(true),
        Some(time) if time == "real" => match kernel {
            None => Ok(false),
            Some(_) => Err(format!("{KERNEL} needs {TIME}=virtual")),
        },
        Some(time) => Err(format!("{TIME}={time}; write virtual, or real")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_asks_for_a_guest() {
        let wanted = |time: Option<&'static str>, kernel: Option<&'static str>| {
            super::wanted(time.map(OsStr::new), kernel.map(OsStr::new))
        };
        assert_eq!(wanted(None, None), Ok(false));
        assert_eq!(wanted(Some("real"), None), Ok(false));
        assert_eq!(wanted(Some("virtual"), None), Ok(true));
        assert_eq!(wanted(None, Some("6.1")), Ok(true));
        assert!(wanted(Some("real"), Some("6.1")).is_err());
        assert!(wanted(Some("virtuel"), None).is_err_and(|why| why.contains("virtual")));
    }
}
