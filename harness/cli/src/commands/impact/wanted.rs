//! The change that was asked for: two sets of sysctls, from arguments, files of
//! sysctl.conf(5), or this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use halfopen_lab::internal::pinned;
use halfopen_outcome::impact::{Change, Sysctls, scope};
use halfopen_predict::Version;
use halfopen_report::comparison::IgnoredSysctl;
use halfopen_scenario::sysctl_conf::{self, spaced};

use crate::args::ImpactArgs;
use crate::shared::error::CliError;

/// Both sides as they were asked for, before it is known on which kernel.
pub(super) struct Wanted {
    then: BTreeMap<String, String>,
    now: BTreeMap<String, String>,
    /// These sysctls were named one by one: none is left out.
    named: bool,
}

impl Wanted {
    pub(super) fn of(args: &ImpactArgs) -> Result<Self, CliError> {
        let read = |path: &Option<PathBuf>| {
            let conf = path.as_deref().map(sysctl_conf::load).transpose();
            conf.map(Option::unwrap_or_default)
                .map_err(|e| CliError::Scenarios(e.to_string()))
        };
        if args.sysctl_from_host {
            return Ok(Wanted {
                then: BTreeMap::new(),
                now: of_this_machine(Path::new("/proc/sys"))?,
                named: false,
            });
        }
        if !args.sysctl.is_empty() {
            let mut now = BTreeMap::new();
            for (key, value) in &args.sysctl {
                let before = now.insert(key.clone(), value.clone());
                if let Some(before) = before.filter(|before| before != value) {
                    return Err(CliError::Usage(format!(
                        "--sysctl {key} is given twice, as {before} and as {value}"
                    )));
                }
            }
            return Ok(Wanted {
                then: BTreeMap::new(),
                now,
                named: true,
            });
        }
        Ok(Wanted {
            then: read(&args.from)?,
            now: read(&args.to)?,
            named: false,
        })
    }

    /// The change, and what was left out of it, and why.
    pub(super) fn change(
        &self,
        host: &str,
        oldest: Option<Version>,
    ) -> (Change, Vec<IgnoredSysctl>) {
        let mut ignored = BTreeMap::new();
        let mut side = |set: &BTreeMap<String, String>| -> Sysctls {
            let mut kept = BTreeMap::new();
            for (key, value) in set {
                let why = scope::ignored(key, value, oldest).filter(|_| !self.named);
                match why {
                    Some(why) => {
                        ignored.insert(key.clone(), why);
                    }
                    None => {
                        kept.insert(key.clone(), value.clone());
                    }
                }
            }
            BTreeMap::from([(host.to_owned(), kept)])
        };
        let (then, now) = (side(&self.then), side(&self.now));
        let ignored = ignored
            .into_iter()
            .map(|(key, why)| IgnoredSysctl { key, why })
            .collect();
        (Change { then, now }, ignored)
    }
}

/// What differs on this machine from what kernels do by themselves, of all the
/// sysctls that a lab pins. They are only read.
fn of_this_machine(proc_sys: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let mut set = BTreeMap::new();
    for pinned in [pinned::TCP, pinned::IPV4, pinned::IPV6]
        .into_iter()
        .flatten()
    {
        let path = proc_sys.join(pinned.key.replace('.', "/"));
        let value = match std::fs::read_to_string(&path) {
            Ok(value) => spaced(&value),
            // This kernel does not have it, or only root may read it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => continue,
            Err(e) => {
                return Err(CliError::Run(format!(
                    "failed to read {}: {e}",
                    path.display()
                )));
            }
        };
        if value != pinned.value {
            set.insert(pinned.key.to_owned(), value);
        }
    }
    Ok(set)
}
