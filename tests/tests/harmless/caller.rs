//! The caller's own network: furnished with something to lose, and compared
//! byte for byte. How many connections its conntrack has is among the sysctls.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::modules;

/// What a caller may have. Two tables are called as the program might call its own.
const RULES: &str = "
table inet own {
  set addresses { type ipv4_addr; elements = { 192.0.2.7, 192.0.2.9 }; }
  chain input {
    type filter hook input priority 0;
    tcp dport 7000 ip saddr @addresses drop
  }
}
table inet halfopen {
  chain output {
    type filter hook output priority 0;
    tcp dport 9 reject
  }
}
table netdev halfopen {
  chain port {
    type filter hook ingress device own0 priority 0;
  }
}
";
const LINKS: &str = "
link set lo up
link add own0 type veth peer name own1
link set own0 up
link set own1 up
addr add 192.0.2.1/24 dev own0
addr add 2001:db8::1/64 dev own0
route add 198.51.100.0/24 via 192.0.2.2
route add default via 192.0.2.2 table 100
rule add from 192.0.2.1 table 100
neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev own0 nud permanent
neigh add 192.0.2.3 lladdr 02:00:00:00:00:03 dev own0 nud permanent
neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev own0 nud permanent
";
const QUEUES: &str = "
qdisc add dev own0 root tbf rate 1mbit burst 32kbit latency 400ms
qdisc add dev own0 clsact
filter add dev own0 egress protocol ip prio 1 u32 match ip dst 203.0.113.1/32 classid 1:1
";
const SYSCTLS: [(&str, &str); 6] = [
    // No duplicate address detection: addresses are final at once.
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv4/ip_forward", "1"),
    ("ipv4/tcp_retries2", "7"),
    ("ipv4/tcp_keepalive_time", "1234"),
    ("ipv4/tcp_congestion_control", "reno"),
];

/// Programs that tell what a network is like.
const TELLERS: [&[&str]; 10] = [
    &["nft", "list", "ruleset"],
    &["ip", "-d", "link"],
    &["ip", "addr"],
    &["ip", "rule"],
    &["ip", "-6", "rule"],
    &["ip", "route", "show", "table", "all"],
    &["ip", "-6", "route", "show", "table", "all"],
    // Others come and go by themselves (neigh_periodic_work()).
    &["ip", "neigh", "show", "nud", "permanent"],
    &["tc", "qdisc"],
    &["tc", "filter", "show", "dev", "own0", "egress"],
];

/// All that can be seen of this network namespace and this mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(BTreeMap<String, Vec<u8>>);

/// One test at a time, in a network with something to lose.
///
/// # Panics
/// When a program that is needed is missing; the message names it.
pub fn furnished() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    static FURNISHED: OnceLock<()> = OnceLock::new();
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    FURNISHED.get_or_init(|| {
        for (key, value) in SYSCTLS {
            let path = format!("/proc/sys/net/{key}");
            std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}"));
        }
        tell(&["ip", "-batch", "-"], LINKS);
        tell(&["tc", "-batch", "-"], QUEUES);
        tell(&["nft", "-f", "-"], RULES);
        settle();
    });
    guard
}

/// Waits until interfaces are up and show no more change.
fn settle() {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let before = Caller::now();
        std::thread::sleep(Duration::from_millis(300));
        if Caller::now() == before {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the network does not come to rest"
        );
    }
}

impl Caller {
    /// As it is now.
    pub fn now() -> Self {
        let mut all = BTreeMap::new();
        for words in TELLERS {
            all.insert(words.join(" "), tell(words, ""));
        }
        for file in ["/proc/self/mountinfo", "/proc/thread-self/net/dev"] {
            let text = std::fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"));
            // Of the list of devices only the names: packets are counted.
            let text = if file.ends_with("dev") {
                first_words(&text)
            } else {
                text
            };
            all.insert(file.into(), text);
        }
        sysctls(Path::new("/proc/sys/net"), &mut all);
        let (loaded, files) = (modules::loaded(), modules::files());
        let others = modules::others(&loaded, &files);
        all.insert("/proc/modules".into(), others.join("\n").into_bytes());
        Caller(all)
    }

    /// What is not any more as it was, in words.
    pub fn changes(&self, later: &Caller) -> Vec<String> {
        let names = self.0.keys().chain(later.0.keys());
        let mut names: Vec<_> = names
            .filter(|n| self.0.get(*n) != later.0.get(*n))
            .collect();
        names.sort_unstable();
        names.dedup();
        let text = |of: &Caller, name: &str| {
            of.0.get(name).map_or("not there".into(), |b| {
                String::from_utf8_lossy(b).into_owned()
            })
        };
        names
            .into_iter()
            .map(|n| format!("{n}\n- {}\n+ {}", text(self, n), text(later, n)))
            .collect()
    }
}

fn first_words(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words.collect::<Vec<_>>().join("\n").into_bytes()
}

fn sysctls(folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            sysctls(&path, into);
        } else {
            // Some can only be written, some have no value yet (EIO): that stays so.
            let value = std::fs::read(&path).unwrap_or_else(|e| e.to_string().into_bytes());
            into.insert(path.display().to_string(), value);
        }
    }
}

/// Runs a program that must succeed, with this input, and gives its output.
pub fn tell(words: &[&str], input: &str) -> Vec<u8> {
    let child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child =
        child.unwrap_or_else(|e| panic!("cannot start {}: {e}: run ci/setup", words[0]));
    // Dropped at the end of the statement: the program sees the input's end.
    let written = child
        .stdin
        .take()
        .expect("is a pipe")
        .write_all(input.as_bytes());
    written.unwrap_or_else(|e| panic!("{words:?}: {e}"));
    let output = child
        .wait_with_output()
        .unwrap_or_else(|e| panic!("{words:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    output.stdout
}
