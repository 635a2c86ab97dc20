//! Finds out whether a namespace is really gone.
//!
//! A network namespace lives on without any process while a socket of its own
//! does, an orphan in FIN_WAIT1 for minutes, and nothing in /proc shows it.
//! So a veth pair is put between it and a namespace of this test: when the
//! kernel takes the watched one down (cleanup_net()) it deletes its end of the
//! pair, and with it the other one.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use halfopen_lab::Namespace;

use crate::attempt::others;
use crate::random::Random;

/// How long namespaces may take to go. The kernel takes them down in a work
/// queue (cleanup_net()), and an orphaned connection in one of them is given
/// up after twice its case's time at most (halfopen's run/orphans.rs; the
/// longest case of the catalogue in real time lasts 15 s).
const GONE_WITHIN: Duration = Duration::from_secs(600);

const PREFIX: &str = "witness";

/// Where the other ends of all pairs are.
fn post() -> &'static Namespace {
    static POST: OnceLock<Namespace> = OnceLock::new();
    POST.get_or_init(|| Namespace::create("watch").unwrap_or_else(|e| panic!("{e}")))
}

/// As [`place`], but waits until there is a namespace to watch.
///
/// # Panics
/// When there is none for long.
pub fn place_some(most: usize, random: &mut Random) -> usize {
    for _ in 0..600 {
        let placed = place(most, random);
        if placed > 0 {
            return placed;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("there was no namespace to be watched");
}

/// Puts witnesses into at most so many namespaces of the processes that are
/// there, and tells into how many. Some go away meanwhile.
pub fn place(most: usize, random: &mut Random) -> usize {
    static PLACED: AtomicUsize = AtomicUsize::new(0);
    let mut namespaces: Vec<String> = namespaces().into_values().collect();
    while namespaces.len() > most {
        namespaces.swap_remove(random.below(namespaces.len()));
    }
    let mut names = Vec::new();
    let mut requests = String::new();
    for namespace in &namespaces {
        let name = format!("{PREFIX}{}", PLACED.fetch_add(1, Ordering::Relaxed));
        requests += &format!("link add {name} type veth peer name {PREFIX} netns {namespace}\n");
        names.push(name);
    }
    // With -force one that is gone, or no network namespace, stops nothing.
    let start = || {
        Command::new("ip")
            .args(["-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    };
    let child = post().enter(start).unwrap_or_else(|e| panic!("{e}"));
    let mut child = child.unwrap_or_else(|e| panic!("cannot start ip: {e}: run ci/setup"));
    let written = child
        .stdin
        .take()
        .expect("is a pipe")
        .write_all(requests.as_bytes());
    written
        .and_then(|()| child.wait())
        .unwrap_or_else(|e| panic!("ip -batch: {e}"));
    left().iter().filter(|name| names.contains(name)).count()
}

/// The witnesses whose namespaces are still there.
fn left() -> Vec<String> {
    let file = "/proc/thread-self/net/dev";
    let text = post()
        .enter(|| std::fs::read_to_string(file))
        .unwrap_or_else(|e| panic!("{e}"));
    let text = text.unwrap_or_else(|e| panic!("{file}: {e}"));
    let names = text.lines().filter_map(|line| line.split(':').next());
    names
        .map(str::trim)
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

/// Waits until every namespace that is watched is gone, and gives how long
/// that took.
///
/// # Panics
/// When one is there for too long.
pub fn all_gone() -> Duration {
    let began = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < GONE_WITHIN,
            "{} namespaces are still there after {GONE_WITHIN:?}",
            left.len()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The namespaces that other processes are in or hold by a descriptor: a path
/// to each, by inode.
fn namespaces() -> BTreeMap<u64, String> {
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
