//! The store of states, with a state of a kernel that is none.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::identity::tests::of;
use super::identity::{Expected, Identity};
use super::lock::lock;
use super::store::*;
use crate::VmError;
use crate::files::nameless;

struct Kept {
    _above: tempfile::TempDir,
    place: PathBuf,
    store: Store,
    expected: Expected,
    identity: Identity,
}

fn kept() -> Kept {
    let above = tempfile::tempdir().expect("a directory");
    let kernel = above.path().join("vmlinuz");
    fs::write(&kernel, "kernel").expect("write");
    let place = above.path().join("halfopen/states");
    let (expected, identity) = of(&kernel);
    Kept {
        store: Store::open(&place).expect("a new one"),
        _above: above,
        place,
        expected,
        identity,
    }
}

fn put(kept: &Kept, name: &str) {
    let memory = nameless("memory", b"").expect("memory");
    memory.set_len(8 << 20).expect("longer");
    memory.write_all_at(b"kernel", 1 << 20).expect("write");
    let identity = kept.identity.clone();
    let written = kept.store.put(name, identity, &memory, b"devices");
    written.expect("written");
}

#[test]
fn what_is_kept_is_found_and_whole() {
    let kept = kept();
    let find = || kept.store.find("a", &kept.expected).expect("readable");
    assert!(find().is_none());
    put(&kept, "a");
    let state = find().expect("a state");
    state
        .check_meanwhile()
        .expect("a thread")
        .wait()
        .expect("whole");
    let mut devices = String::new();
    let pipe = File::from(state.devices().expect("a pipe"));
    io::Read::read_to_string(&mut &pipe, &mut devices).expect("read");
    assert_eq!(devices, "devices");
    let usage = kept.store.usage().expect("listed");
    assert!(usage.states == 1 && usage.bytes < 1 << 20, "{usage}");

    let file = File::options().write(true).open(kept.place.join("a"));
    let file = file.expect("it is there");
    file.write_all_at(b"K", 1 << 20).expect("write");
    let damaged = find().expect("a state").check_meanwhile();
    let damaged = damaged.expect("a thread").wait();
    assert!(matches!(damaged, Err(VmError::State { .. })), "{damaged:?}");
    file.set_len(4 << 20).expect("shorter");
    assert!(find().is_none() && !kept.place.join("a").exists());
}

#[test]
fn the_longest_unused_go_first() {
    let kept = kept();
    for (name, age) in [("old", 300), ("older", 900), ("new", 0)] {
        put(&kept, name);
        let file = File::open(kept.place.join(name)).expect("it is there");
        let used = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(used).expect("its own file");
    }
    fs::write(kept.place.join("x.new"), "unfinished").expect("write");
    let whole = kept.store.usage().expect("listed").bytes;
    kept.store.bound(whole - 1, "new").expect("removed");
    assert!(!kept.place.join("older").exists() && kept.place.join("old").exists());
    kept.store.bound(0, "new").expect("removed");
    assert!(!kept.place.join("old").exists() && kept.place.join("new").exists());
    assert!(
        kept.place.join("x.new").exists(),
        "somebody may be writing it"
    );
    kept.store.clear().expect("removed");
    assert_eq!(kept.store.usage().expect("listed").states, 0);
}

#[test]
fn a_directory_that_others_may_read_is_refused() {
    let kept = kept();
    let mode = |mode| fs::set_permissions(&kept.place, fs::Permissions::from_mode(mode));
    mode(0o750).expect("its own directory");
    let refused = Store::open(&kept.place).expect_err("others may look into it");
    assert!(refused.to_string().contains("alone"), "{refused}");
    mode(0o700).expect("its own directory");
    assert!(Store::open(&kept.place).is_ok());
    let link = kept.place.with_file_name("link");
    std::os::unix::fs::symlink(&kept.place, &link).expect("a link");
    assert!(Store::open(&link).is_err());
}

#[test]
fn a_lock_is_for_one_name() {
    let kept = kept();
    let (read, write) = io::pipe().expect("a pipe");
    let held = lock(&kept.store, "x-1a0", None).expect("free");
    let _other = lock(&kept.store, "x-1b0", None).expect("free");
    drop(write);
    let waits = lock(&kept.store, "x-1a0", Some(read.as_fd()));
    assert!(matches!(waits, Err(VmError::Interrupted)), "{waits:?}");
    drop(held);
    lock(&kept.store, "x-1a0", None).expect("free again");
}
