//! Cases in guests: finds the kernels that `--kernel` names, and runs cases on
//! them with a progress display. Used by every command that takes `--kernel`.

use std::path::Path;

use halfopen_net::error::chain;
use halfopen_scenario::case::Case;
use halfopen_vm::cases::{self, KernelRun, Options};
use halfopen_vm::kernels;
use halfopen_vm::{Kernel, VmError};

use super::error::CliError;
use super::guest_progress::GuestProgress;

/// The name of all kernels that are found.
pub(crate) const EVERY_KERNEL: &str = "all";

/// Runs cases on each of the kernels.
pub(crate) fn run(
    cases: &[Case],
    kernels: &[Kernel],
    options: &Options,
) -> Result<Vec<KernelRun>, CliError> {
    let releases: Vec<&str> = kernels.iter().map(|k| k.release.as_str()).collect();
    let mut progress = GuestProgress::new(&releases, cases.len());
    let runs = cases::run(cases, kernels, options, &mut |kernel, event| {
        progress.record(kernel, &event);
    });
    progress.finish();
    runs.map_err(|e| CliError::Vm(chain(&e)))
}

/// The kernels that `--kernel` names: paths, releases (or how they begin), or
/// `all`; without any the newest that is found.
pub(crate) fn kernels_of(named: &[String]) -> Result<Vec<Kernel>, CliError> {
    let found = kernels::find();
    let none = || {
        CliError::Vm(
            VmError::NoKernel {
                looked: found.looked.clone(),
            }
            .to_string(),
        )
    };
    if named.is_empty() {
        return Ok(vec![found.kernels.last().ok_or_else(none)?.clone()]);
    }
    let mut chosen: Vec<Kernel> = Vec::new();
    for name in named {
        let path = Path::new(name);
        let new = if name == EVERY_KERNEL {
            if found.kernels.is_empty() {
                return Err(none());
            }
            found.kernels.clone()
        } else if path.exists() || name.contains('/') {
            vec![Kernel::open(path).map_err(|e| CliError::Vm(chain(&e)))?]
        } else {
            let matches = |k: &&Kernel| {
                k.release
                    .strip_prefix(name.as_str())
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            let kernel = found.kernels.iter().find(matches).ok_or_else(|| {
                let known: Vec<&str> = found.kernels.iter().map(|k| k.release.as_str()).collect();
                let known = match known.as_slice() {
                    [] => "there is none in this user's cache; ci/kernels fetches some".into(),
                    known => format!("there are: {}", known.join(", ")),
                };
                CliError::Usage(format!(
                    "--kernel {name}: no such file, and no such kernel was found; {known}"
                ))
            })?;
            vec![kernel.clone()]
        };
        for kernel in new {
            if chosen.iter().all(|k| k.vmlinuz != kernel.vmlinuz) {
                chosen.push(kernel);
            }
        }
    }
    Ok(chosen)
}
