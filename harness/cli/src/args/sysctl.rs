//! `--sysctl`: one sysctl and its value, on one host or on every host. A name that
//! no kernel has, or a value that no kernel accepts, is refused here: each case
//! would fail on it, or a prediction would ignore it.

/// The host that stands for every host.
pub(crate) const EVERY_HOST: &str = "all";

/// One `--sysctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub(crate) host: String,
    pub(crate) key: String,
    pub(crate) value: String,
}

pub(crate) fn sysctl(text: &str) -> Result<Sysctl, String> {
    let form = "write HOST:KEY=VALUE, such as client:net.ipv4.tcp_retries2=8";
    let (host, setting) = text
        .split_once(':')
        .ok_or_else(|| format!("no host in it; {form}"))?;
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| format!("no value in it; {form}"))?;
    let (host, key, value) = (host.trim(), key.trim(), value.trim());
    if host.is_empty() || value.is_empty() {
        return Err(format!("an empty part; {form}"));
    }
    // The key becomes a path below /proc/sys.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let parts_are_names = key.split('.').all(|part| !part.is_empty());
    if !key.starts_with("net.") || !parts_are_names || !key.chars().all(plain) {
        let full = format!("net.ipv4.{key}");
        let meant = match halfopen_scenario::internal::existing_sysctl(&full) {
            Ok(()) => format!("; write {host}:{full}={value}"),
            Err(_) => String::new(),
        };
        return Err(format!(
            "`{key}` is no sysctl of a network namespace: they begin with net.{meant}"
        ));
    }
    halfopen_scenario::internal::acceptable_sysctl(key, value).map_err(|refused| {
        let help = refused.help.map(|h| format!("; {h}")).unwrap_or_default();
        format!("{key}: {}{help}", refused.message)
    })?;
    check_in_a_scenario(key, value)?;
    Ok(Sysctl {
        host: host.into(),
        key: key.into(),
        value: value.into(),
    })
}

/// Checks a sysctl as a file of scenarios does: the same names are misspelt there.
fn check_in_a_scenario(key: &str, value: &str) -> Result<(), String> {
    let value = value.replace('\\', r"\\").replace('"', r#"\""#);
    let text = format!(
        "version: 1
scenarios:
  checked:
    network: routed
    nat: {{ inside: client }}
    sysctls: {{ router: {{ {key}: \"{value}\" }} }}
    server: [listen]
    client: [connect]
    give_up: 1s
"
    );
    let Err(errors) = halfopen_scenario::parse("--sysctl", &text) else {
        return Ok(());
    };
    let problems = errors.problems().iter().map(|problem| match &problem.help {
        Some(help) => format!("{}; {help}", problem.message),
        None => problem.message.clone(),
    });
    Err(problems.collect::<Vec<_>>().join("\n"))
}

/// `KEY=VALUE`: the host is an argument of its own.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    if let Some((host, rest)) = text.split_once(':')
        && !host.contains('=')
    {
        return Err(format!(
            "every host gets it; for one host write --sysctl {rest} --host {host}"
        ));
    }
    sysctl(&format!("{EVERY_HOST}:{text}"))
        .map(|s| (s.key, s.value))
        .map_err(|e| {
            e.replace("HOST:KEY=VALUE", "KEY=VALUE")
                .replace("client:", "")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysctl_has_three_parts() {
        let read = sysctl("client:net.ipv4.tcp_rmem=4096 87380 6291456");
        assert_eq!(read.map(|s| s.value), Ok("4096 87380 6291456".into()));
        for wrong in [
            "net.ipv4.tcp_retries2=8",
            "client:net.ipv4.tcp_retries2",
            ":net.ipv4.tcp_retries2=8",
            "client:net.ipv4.tcp_retries2=",
            "client:kernel.panic=1",
            "client:net.../../kernel=1",
            "client:net.ipv4./x=1",
            "client:net.ipv4.tcp_retries2=x",
            "client:net.ipv4.tcp_retries2=300",
        ] {
            assert!(sysctl(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_no_kernel_has_is_refused() {
        let refused = |text: &str| sysctl(text).expect_err("no such sysctl");
        let misspelt = refused("client:net.ipv4.tcp_retries=8");
        assert!(misspelt.contains("did you mean"), "{misspelt}");
        let gone = refused("client:net.ipv4.tcp_tw_recycle=0");
        assert!(gone.contains("since 4.12"), "{gone}");
        let far = refused("client:net.ipv4.no_such_key_at_all=1");
        assert!(far.contains("no kernel has"), "{far}");
        let quoted = sysctl(r#"client:net.ipv4.ip_local_reserved_ports="a\b""#);
        assert_eq!(quoted.map(|s| s.value), Ok(r#""a\b""#.into()));
    }
}
