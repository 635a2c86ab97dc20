//! What `#[halfopen_lab::test]` expands to calls: not a public interface.

use std::env;
use std::process::Command;

use crate::sandbox;

/// What a test may return.
pub trait Tested {
    /// The value of a test that has passed elsewhere.
    fn passed() -> Self;
}

impl Tested for () {
    fn passed() {}
}

impl<E> Tested for Result<(), E> {
    fn passed() -> Self {
        Ok(())
    }
}

/// Runs a test here, or in a guest. `place` is its path with its crate's name.
///
/// # Panics
/// When the test has failed in the guest, or when the guest could not be run.
pub fn run<R: Tested>(
    place: &str,
    in_guest: bool,
    kernel: Option<&str>,
    body: impl FnOnce() -> R,
) -> R {
    if !in_guest || sandbox::is_virtual_time() {
        return body();
    }
    let name = place.split_once("::").map_or(place, |(_, name)| name);
    let program = env::current_exe();
    let program = program.unwrap_or_else(|e| panic!("which program is this? {e}"));
    let mut command = Command::new(sandbox::halfopen());
    command.args(["exec", "--time", "virtual"]);
    if let Some(kernel) = kernel {
        command.args(["--kernel", kernel]);
    }
    command
        .arg("--")
        .arg(program)
        .args([name, "--exact", "--include-ignored", "--nocapture"]);
    let output = match command.output() {
        Ok(output) => output,
        Err(e) => panic!(
            "failed to run {}: {e}\n  cure: {}",
            command.get_program().display(),
            sandbox::CURE
        ),
    };
    // By print!, so that libtest can capture it.
    let shown = String::from_utf8_lossy(&output.stdout);
    print!("{shown}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "it failed in the guest: {}",
        output.status
    );
    // libtest is content with no test at all.
    assert!(
        shown.contains("1 passed"),
        "no test {name} was run in the guest"
    );
    R::passed()
}

/// Runs an async test's body on a runtime of its own, outside every host.
///
/// # Panics
/// When no runtime can be started.
#[cfg(feature = "tokio")]
pub fn block_on<F: Future>(body: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime
        .unwrap_or_else(|e| panic!("start a runtime: {e}"))
        .block_on(body)
}
