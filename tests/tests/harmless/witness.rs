//! Finds out whether a namespace is really gone.
//!
//! A network namespace lives on without any process while a socket of its own
//! does, an orphan in FIN_WAIT1 for minutes, and nothing in /proc shows it.
//! So a veth pair is put between it and the caller: when the kernel takes the
//! namespace down (cleanup_net()) it deletes its end, and with it ours.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::io::Write;

use crate::attempt::others;
use crate::random::Random;

const PREFIX: &str = "witness";

/// Puts witnesses into at most so many namespaces of the processes that are
/// there, and tells into how many. Some go away meanwhile.
pub fn place(most: usize, random: &mut Random) -> usize {
    let mut namespaces: Vec<String> = namespaces().into_values().collect();
    while namespaces.len() > most {
        namespaces.swap_remove(random.below(namespaces.len()));
    }
    let mut requests = String::new();
    for (number, namespace) in namespaces.iter().enumerate() {
        requests += &format!(
            "link add {PREFIX}{number} type veth peer name {PREFIX} netns {namespace}\n"
        );
    }
    // With -force one that is gone, or no network namespace, stops nothing.
    let child = Command::new("ip")
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.unwrap_or_else(|e| panic!("cannot start ip: {e}: run ci/setup"));
    let written = child.stdin.take().expect("is a pipe").write_all(requests.as_bytes());
    written.and_then(|()| child.wait()).unwrap_or_else(|e| panic!("ip -batch: {e}"));
    left().len()
}

/// The witnesses whose namespaces are still there.
pub fn left() -> Vec<String> {
    let file = "/proc/thread-self/net/dev";
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let names = text.lines().filter_map(|line| line.split(':').next());
    names.map(str::trim).filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect()
}

/// The namespaces that other processes are in or hold by a descriptor: a path
/// to each, by inode.
fn namespaces() -> std::collections::BTreeMap<u64, String> {
    let own = std::fs::metadata("/proc/thread-self/ns/net").expect("every thread is in one");
    let mut found = BTreeMap::new();
    for pid in others() {
        let folder = format!("/proc/{pid}/fd");
        // It may end at any time.
        let descriptors = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let held = descriptors.map(|entry| entry.path().display().to_string());
        for path in held.chain([format!("/proc/{pid}/ns/net")]) {
            // All namespaces are files of one file system, nsfs.
            if let Ok(file) = std::fs::metadata(&path)
                && file.dev() == own.dev()
                && file.ino() != own.ino()
            {
                found.entry(file.ino()).or_insert(path);
            }
        }
    }
    found
}
