//! The kernel that predictions are made for. Used by `predict` and `impact`.

use halfopen_predict::{KernelFacts, Version};
use halfopen_runner::machine;

use super::error::CliError;

/// HZ of a kernel that is not this one, unless --hz says otherwise: what Debian builds with.
pub(crate) const USUAL_HZ: u32 = 250;

/// The kernel that was named, else this machine's.
pub(crate) fn facts_of(kernel: Option<&str>, hz: Option<u32>) -> Result<KernelFacts, CliError> {
    let release = kernel.map_or_else(machine::kernel, str::to_owned);
    let version = Version::parse(&release).ok_or_else(|| {
        CliError::Usage(format!(
            "--kernel {release}: no version; write it such as 6.1 or 6.12.9-1-amd64"
        ))
    })?;
    if version < halfopen_predict::kernel::OLDEST {
        return Err(CliError::Usage(format!(
            "--kernel {release}: the rules were read and measured in {} and later",
            halfopen_predict::kernel::OLDEST
        )));
    }
    let own = kernel.is_none().then(machine::hz).flatten();
    Ok(KernelFacts::new(version, hz.or(own).unwrap_or(USUAL_HZ)))
}
