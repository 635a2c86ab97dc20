//! The file system that a command sees in the guest:
//!
//! ```text
//! /                this machine's files, what is written stays in the guest (overlay)
//! WRITABLE         this machine's files, written through
//! /proc /sys /dev  the guest's own
//! ```
//!
//! The process of the guest's work stays in the initramfs, because it answers for the
//! files: it must not wait for them itself.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::protocol::command::INPUT;

/// Where this machine's files are.
const HOST: &str = "/host";
/// What becomes the command's root directory.
pub(super) const ROOT: &str = "/command";

/// Standard input, as a file.
pub(super) fn input_path() -> PathBuf {
    Path::new(HOST).join(INPUT)
}

/// Mounts this machine's files; the returned device has the questions about them. Until
/// they are answered, [`mount_rest`] waits.
pub(super) fn mount_host() -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    fs::create_dir_all(HOST)?;
    let fd = device.as_raw_fd();
    let data = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other");
    mount_at("halfopen", HOST, "fuse", MsFlags::MS_NODEV, &data)?;
    Ok(device)
}

/// Mounts the rest.
pub(super) fn mount_rest(writable: &[PathBuf]) -> io::Result<()> {
    let none = MsFlags::empty();
    for directory in ["/written", ROOT] {
        fs::create_dir_all(directory)?;
    }
    mount_at("tmpfs", "/written", "tmpfs", none, "mode=755")?;
    for directory in ["/written/upper", "/written/work"] {
        fs::create_dir(directory)?;
    }
    let layers = format!("lowerdir={HOST},upperdir=/written/upper,workdir=/written/work");
    mount_at("overlay", ROOT, "overlay", none, &layers)?;
    for path in writable {
        let below = path.strip_prefix("/").unwrap_or(path);
        let (from, to) = (Path::new(HOST).join(below), Path::new(ROOT).join(below));
        bind(&from, &to)?;
    }
    mount_at("proc", &in_root("proc"), "proc", none, "")?;
    mount_at("sysfs", &in_root("sys"), "sysfs", none, "")?;
    devices()
}

/// The devices, with what programs expect among them.
fn devices() -> io::Result<()> {
    let none = MsFlags::empty();
    for (kind, place, data) in [
        ("devpts", "/dev/pts", "ptmxmode=0666,mode=620"),
        ("tmpfs", "/dev/shm", "mode=1777"),
    ] {
        fs::create_dir_all(place)?;
        mount_at(kind, place, kind, none, data)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, Path::new("/dev").join(name))?;
    }
    bind(Path::new("/dev"), &Path::new(ROOT).join("dev"))
}

fn in_root(path: &str) -> String {
    format!("{ROOT}/{path}")
}

fn bind(from: &Path, to: &Path) -> io::Result<()> {
    let none = None::<&str>;
    mount(
        Some(from),
        to,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .map_err(|e| named(e, &to.display().to_string()))
}

fn mount_at(what: &str, place: &str, kind: &str, flags: MsFlags, data: &str) -> io::Result<()> {
    mount(Some(what), place, Some(kind), flags, Some(data)).map_err(|e| named(e, place))
}

fn named(e: nix::Error, place: &str) -> io::Error {
    io::Error::other(format!("mount {place}: {e}"))
}
