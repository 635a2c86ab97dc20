//! Sets HALFOPEN_VERSION, the text of `halfopen --version`: the version, and the
//! commit that the program is built from, with its date, where they are known.
//!
//! In a packed crate the commit is in `.cargo_vcs_info.json`, which cargo writes. In
//! the repository it comes from `git`, or without the program from the files of the
//! repository (without a date). The script runs again only when HEAD moves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `git rev-parse --short` shows at least.
const SHORT: usize = 7;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let package = PathBuf::from(env("CARGO_MANIFEST_DIR"));
    let version = env("CARGO_PKG_VERSION");
    let commit = packed_commit(&package).or_else(|| repository_commit(&package));
    let text = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=HALFOPEN_VERSION={text}");
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The commit that a crate was packed from.
fn packed_commit(package: &Path) -> Option<String> {
    let file = package.join(".cargo_vcs_info.json");
    let text = read(&file)?;
    let (_, after) = text.split_once("\"sha1\"")?;
    short(after.split('"').nth(1)?)
}

/// The commit that is checked out in the repository of this workspace. Only there:
/// a copy of the crate inside somebody else's repository has no commit of its own.
fn repository_commit(package: &Path) -> Option<String> {
    let root = package.parent()?.parent()?;
    let git_dir = git_dir(&root.join(".git"))?;
    let by_files = commit_by_files(&git_dir);
    commit_by_git(root).or(by_files)
}

fn commit_by_git(root: &Path) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        // Set while git runs a hook: it may name another repository.
        .env_remove("GIT_DIR")
        .args(["show", "--no-patch", "--format=%H %cs", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (hash, date) = text.trim().split_once(' ')?;
    Some(format!("{} {date}", short(hash)?))
}

/// The directory of a repository; in a linked worktree `.git` is a file that names it.
fn git_dir(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return Some(dot_git.to_owned());
    }
    let text = fs::read_to_string(dot_git).ok()?;
    let path = text.trim().strip_prefix("gitdir: ")?;
    Some(dot_git.parent()?.join(path))
}

/// Reads HEAD and the branch it names (gitrepository-layout(5)), and makes this
/// script run again when one of them changes.
fn commit_by_files(git_dir: &Path) -> Option<String> {
    let head = read(&git_dir.join("HEAD"))?;
    let Some(branch) = head.strip_prefix("ref: ") else {
        return short(&head);
    };
    // Branches of a linked worktree are those of the main one.
    let common = match fs::read_to_string(git_dir.join("commondir")) {
        Ok(path) => git_dir.join(path.trim()),
        Err(_) => git_dir.to_owned(),
    };
    if let Some(hash) = read(&common.join(branch)) {
        return short(&hash);
    }
    // The branch is packed. The next commit writes it to a file of its own, which
    // cargo cannot wait for; but it is logged.
    rerun_if_changed(&git_dir.join("logs/HEAD"));
    let packed = read(&common.join("packed-refs"))?;
    packed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(hash, name)| (name == branch).then(|| short(hash))?)
}

/// A file's text without the last newline; this script runs again when it changes.
fn read(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    rerun_if_changed(file);
    Some(text.trim_end().to_owned())
}

/// Not for a file that is missing: cargo takes that for a change, each time.
fn rerun_if_changed(file: &Path) {
    if file.exists() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
}

fn short(hash: &str) -> Option<String> {
    let is_hash = hash.len() >= 40 && hash.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then(|| hash[..SHORT].to_owned())
}
