//! Tests of the store, with a state of a file that is not a kernel.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::identity::tests::identity_of;
use super::identity::{Expected, Identity};
use super::lock::lock;
use super::store::*;
use crate::VmError;
use crate::files::anonymous_file;

struct Fixture {
    _above: tempfile::TempDir,
    path: PathBuf,
    store: Store,
    expected: Expected,
    identity: Identity,
}

fn fixture() -> Fixture {
    let above = tempfile::tempdir().expect("a directory");
    let kernel = above.path().join("vmlinuz");
    fs::write(&kernel, "kernel").expect("write");
    let path = above.path().join("halfopen/states");
    let (expected, identity) = identity_of(&kernel);
    Fixture {
        store: Store::open(&path).expect("a new one"),
        _above: above,
        path,
        expected,
        identity,
    }
}

fn put(fixture: &Fixture, name: &str) {
    let memory = anonymous_file("memory", b"").expect("memory");
    memory.set_len(8 << 20).expect("longer");
    memory.write_all_at(b"kernel", 1 << 20).expect("write");
    let identity = fixture.identity.clone();
    let written = fixture.store.put(name, identity, &memory, b"devices");
    written.expect("written");
}

#[test]
fn a_stored_state_is_found_and_intact() {
    let fixture = fixture();
    let find = || {
        fixture
            .store
            .find("a", &fixture.expected)
            .expect("readable")
    };
    assert!(find().is_none());
    put(&fixture, "a");
    let state = find().expect("a state");
    state
        .start_check()
        .expect("a thread")
        .wait()
        .expect("whole");
    let mut devices = String::new();
    let pipe = File::from(state.devices().expect("a pipe"));
    io::Read::read_to_string(&mut &pipe, &mut devices).expect("read");
    assert_eq!(devices, "devices");
    let usage = fixture.store.usage().expect("listed");
    assert!(usage.states == 1 && usage.bytes < 1 << 20, "{usage}");

    let file = File::options().write(true).open(fixture.path.join("a"));
    let file = file.expect("it is there");
    file.write_all_at(b"K", 1 << 20).expect("write");
    let damaged = find().expect("a state").start_check();
    let damaged = damaged.expect("a thread").wait();
    assert!(matches!(damaged, Err(VmError::State { .. })), "{damaged:?}");
    file.set_len(4 << 20).expect("shorter");
    assert!(find().is_none() && !fixture.path.join("a").exists());
}

#[test]
fn the_least_recently_used_are_evicted_first() {
    let fixture = fixture();
    for (name, age) in [("old", 300), ("older", 900), ("new", 0)] {
        put(&fixture, name);
        let file = File::open(fixture.path.join(name)).expect("it is there");
        let used = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(used).expect("its own file");
    }
    fs::write(fixture.path.join("x.new"), "unfinished").expect("write");
    let whole = fixture.store.usage().expect("listed").bytes;
    fixture.store.evict(whole - 1, "new").expect("removed");
    assert!(!fixture.path.join("older").exists() && fixture.path.join("old").exists());
    fixture.store.evict(0, "new").expect("removed");
    assert!(!fixture.path.join("old").exists() && fixture.path.join("new").exists());
    assert!(
        fixture.path.join("x.new").exists(),
        "somebody may be writing it"
    );
    fixture.store.clear().expect("removed");
    assert_eq!(fixture.store.usage().expect("listed").states, 0);
}

#[test]
fn a_directory_that_others_may_read_is_refused() {
    let fixture = fixture();
    let mode = |mode| fs::set_permissions(&fixture.path, fs::Permissions::from_mode(mode));
    mode(0o750).expect("its own directory");
    let refused = Store::open(&fixture.path).expect_err("others may look into it");
    assert!(refused.to_string().contains("alone"), "{refused}");
    mode(0o700).expect("its own directory");
    assert!(Store::open(&fixture.path).is_ok());
    let link = fixture.path.with_file_name("link");
    std::os::unix::fs::symlink(&fixture.path, &link).expect("a link");
    assert!(Store::open(&link).is_err());
}

#[test]
fn a_lock_is_for_one_name() {
    let fixture = fixture();
    let (read, write) = io::pipe().expect("a pipe");
    let held = lock(&fixture.store, "x-1a0", None).expect("free");
    let _other = lock(&fixture.store, "x-1b0", None).expect("free");
    drop(write);
    let waits = lock(&fixture.store, "x-1a0", Some(read.as_fd()));
    assert!(matches!(waits, Err(VmError::Interrupted)), "{waits:?}");
    drop(held);
    lock(&fixture.store, "x-1a0", None).expect("free again");
}
