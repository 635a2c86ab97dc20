//! `--sysctl HOST:KEY=VALUE`, checked against the hosts of the selected cases.
//! Used by `run`, `predict` and `grid`.

use std::collections::{BTreeMap, BTreeSet};

use halfopen_scenario::case::Case;

use crate::args::{EVERY_HOST, Sysctl};

use super::error::CliError;

/// Values by sysctl, by host.
pub(crate) type Sysctls = BTreeMap<String, BTreeMap<String, String>>;

/// `--sysctl` by host.
///
/// # Errors
/// A host that no selected case has, or one key given two values.
pub(crate) fn by_host(given: &[Sysctl], cases: &[Case]) -> Result<Sysctls, CliError> {
    let hosts: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| case.network.nodes.iter().map(|node| node.name.as_str()))
        .chain([EVERY_HOST])
        .collect();
    let mut by_host = Sysctls::new();
    for Sysctl { host, key, value } in given {
        if !hosts.contains(host.as_str()) {
            let known: Vec<_> = hosts.iter().map(|host| format!("`{host}`")).collect();
            return Err(CliError::Usage(format!(
                "--sysctl {host}:{key}={value}: no selected case has a host `{host}`; there are {}",
                known.join(", ")
            )));
        }
        let tracks = |case: &Case| case.network.nats.iter().any(|nat| nat.router == *host);
        if key.starts_with("net.netfilter.nf_conntrack_") && !cases.iter().any(tracks) {
            return Err(CliError::Usage(format!(
                "--sysctl {host}:{key}={value}: {host} tracks no connections in any selected case; \
                 a router with `nat:` does"
            )));
        }
        let before = by_host
            .entry(host.clone())
            .or_default()
            .insert(key.clone(), value.clone());
        if let Some(before) = before.filter(|before| before != value) {
            return Err(CliError::Usage(format!(
                "--sysctl {host}:{key} is given twice, as {before} and as {value}"
            )));
        }
    }
    Ok(by_host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::three_cases;

    #[test]
    fn a_sysctl_names_a_host_of_the_cases() {
        let cases = three_cases();
        let one = |host: &str, value: &str| Sysctl {
            host: host.into(),
            key: "net.ipv4.tcp_retries2".into(),
            value: value.into(),
        };
        assert!(by_host(&[one("client", "8"), one("all", "8")], &cases).is_ok());
        let error = by_host(&[one("clinet", "8")], &cases).expect_err("no such host");
        assert!(error.to_string().contains("`client`"), "{error}");
        assert!(by_host(&[one("client", "8"), one("client", "9")], &cases).is_err());
    }
}
