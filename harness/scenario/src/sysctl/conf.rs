//! Reads files of sysctl.conf(5) and sysctl.d(5): the settings of a machine.

use std::collections::BTreeMap;
use std::path::Path;

use super::{acceptable, existing, gone_since, is_global};
use crate::yaml::file::{self, Kind};
use crate::yaml::{InputErrors, Problem, Span};

/// The sysctls that a file sets, by dotted key. The last line for a key counts.
pub type Conf = BTreeMap<String, String>;

const KIND: Kind = Kind {
    what: "a file of sysctl.conf(5)",
    missing: "such as /etc/sysctl.conf, or one of /etc/sysctl.d",
    directory: "name one file in it",
};

/// Reads a file of sysctl.conf(5).
///
/// # Errors
/// A file that cannot be read, or a line that sets nothing.
pub fn load(path: &Path) -> Result<Conf, InputErrors> {
    let text = file::text(path, &KIND)?;
    parse(&path.display().to_string(), &text)
}

/// Reads the text of one. `name` is the file's name, for messages.
///
/// # Errors
/// Lines that set nothing.
pub fn parse(name: &str, text: &str) -> Result<Conf, InputErrors> {
    let mut conf = Conf::new();
    let mut problems = Vec::new();
    for (index, written) in text.lines().enumerate() {
        let line = written.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        match setting(line) {
            Ok(Some((key, value))) => {
                conf.insert(key, value);
            }
            Ok(None) => {}
            Err((message, help)) => {
                let indent = written.chars().take_while(|c| c.is_whitespace()).count();
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let span = Span {
                    line: number(index + 1),
                    column: number(indent + 1),
                    length: number(line.chars().count()),
                };
                problems.push(
                    Problem::new(span, message)
                        .expected("`key = value`")
                        .help(help),
                );
            }
        }
    }
    if problems.is_empty() {
        Ok(conf)
    } else {
        Err(InputErrors::new(name, text, problems))
    }
}

type Wrong = (String, String);

fn setting(line: &str) -> Result<Option<(String, String)>, Wrong> {
    // `-key = value`: a failure to set it is ignored. `-key` alone excludes a key
    // from a pattern (sysctl.d(5)); patterns are refused below.
    let (optional, line) = match line.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, line),
    };
    let Some((key, value)) = line.split_once('=') else {
        if optional && !line.contains(char::is_whitespace) {
            return Ok(None);
        }
        let meant = line
            .split_once([':', ' ', '\t'])
            .filter(|(key, value)| key.starts_with("net.") && value.trim().parse::<i64>().is_ok());
        let help = meant.map(|(key, value)| format!("write `{key} = {}`", value.trim()));
        return Err((
            format!("`{line}` has no `=`"),
            help.unwrap_or_else(|| "a comment begins with # or ;".into()),
        ));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err((
            format!("`{key}` is no name of a sysctl"),
            "write it such as net.ipv4.tcp_retries2".into(),
        ));
    }
    if key.contains(['*', '?', '[']) {
        return Err((
            format!("`{key}` is a pattern"),
            "name each sysctl that matters".into(),
        ));
    }
    if value.is_empty() {
        return Err((
            format!("`{key}` gets no value"),
            "leave it out when it is not to be set".into(),
        ));
    }
    let (key, value) = (dotted(key), spaced(value));
    if !key.starts_with("net.") {
        return Ok(Some((key, value)));
    }
    // What kernels had once, or only a whole machine has, is passed over by who reads
    // this, and named. Other folders than these come with modules.
    let is_here = ["net.core.", "net.ipv4.tcp_", "net.ipv4.ip_", "net.ipv6."]
        .iter()
        .any(|prefix| key.starts_with(prefix));
    let unknown = existing(&key).err();
    let unknown = unknown.filter(|_| is_here && gone_since(&key).is_none() && !is_global(&key));
    if let Some(refused) = unknown {
        return match optional {
            true => Ok(None),
            false => Err((
                refused.message,
                refused
                    .help
                    .unwrap_or_else(|| "leave it out, or write `-` before it".into()),
            )),
        };
    }
    match acceptable(&key, &value) {
        Ok(value) => Ok(Some((key, value))),
        Err(_) if optional => Ok(None),
        Err(refused) => Err((
            format!("{key}: {}", refused.message),
            refused
                .help
                .unwrap_or_else(|| "the kernel refuses it".into()),
        )),
    }
}

/// The key with dots between its parts. The first of dot and slash in it is the
/// separator, and the other one stands for a dot within a name (sysctl.d(5)). No host
/// of a lab has an interface such as `eth0.1`, so its dot is kept as a slash.
fn dotted(key: &str) -> String {
    match key.find(['.', '/']).map(|at| &key[at..=at]) {
        Some("/") => key
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            })
            .collect(),
        _ => key.to_owned(),
    }
}

/// The value with one blank between numbers: /proc/sys writes tabs.
pub fn spaced(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_dashes_slashes_and_the_last_line_counts() {
        let text = "\
# a comment
; another one

net.ipv4.tcp_retries2 = 15
-net.ipv4.tcp_rmem=4096\t87380   6291456
net/ipv4/tcp_keepalive_time = 600
net/ipv4/conf/eth0.1/rp_filter = 1
net.ipv4.conf.eth0/1.forwarding = 1
-net.ipv4.tcp_wmem
  net.ipv4.tcp_retries2 = 8
kernel.core_pattern = |/bin/x a=b
";
        let conf = parse("t", text).unwrap_or_else(|e| panic!("{e}"));
        let all: Vec<_> = conf.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            all,
            [
                "kernel.core_pattern=|/bin/x a=b",
                "net.ipv4.conf.eth0/1.forwarding=1",
                "net.ipv4.conf.eth0/1.rp_filter=1",
                "net.ipv4.tcp_keepalive_time=600",
                "net.ipv4.tcp_retries2=8",
                "net.ipv4.tcp_rmem=4096 87380 6291456",
            ]
        );
    }

    #[test]
    fn a_value_that_the_kernel_refuses_is_shown_where_it_stands() {
        let text = "kernel.x = true\n-net.ipv4.tcp_sack = yes\n  net.ipv4.tcp_retries2 = 300\n";
        let errors = parse("a.conf", text).expect_err("one mistake").to_string();
        assert!(errors.contains("300 is out of range"), "{errors}");
        assert!(errors.contains("a.conf:3:3"), "{errors}");
        assert!(!errors.contains("tcp_sack"), "it may fail: {errors}");
    }

    #[test]
    fn lines_that_set_nothing_are_shown() {
        let text =
            "net.ipv4.tcp_retries2 8\n = 3\nnet.ipv4.conf.*.rp_filter = 1\n  net.ipv4.tcp_sack =\n";
        let errors = parse("a.conf", text).expect_err("four mistakes");
        insta::assert_snapshot!(errors.to_string());
    }
}
