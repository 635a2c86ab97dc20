//! The files of unmodified programs: what a guest needs of this machine to run them.
//!
//! They follow the request in the guest's input, not in the initramfs, so that a saved
//! guest serves any program. [`crate::cases`] packs them, [`crate::work`] unpacks
//! them. A file is its path, its mode and its bytes, each preceded by its length; a
//! directory, which may be empty, has no bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::binary::interpreter;
use super::channel::MOST_INPUT;
use super::error::VmError;
use halfopen_net::error::chain;
use halfopen_runner::endpoint::{DEFAULT_PATH, find_program};
use halfopen_scenario::case::{Case, Program};

/// What fits into the channel beside the cases.
const MOST_BYTES: u64 = MOST_INPUT - (4 << 20);

/// A directory, in a mode.
const S_IFDIR: u32 = 0o040_000;

/// What programs look up besides their own files, where it exists.
const COMMON: [&str; 5] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/services",
];

/// The files of the programs of these cases; empty without programs.
///
/// # Errors
/// When a file cannot be read, or when there are too many.
pub(crate) fn pack(cases: &[&Case]) -> Result<Vec<u8>, VmError> {
    let lanes = cases.iter().flat_map(|case| &case.lanes);
    let mut files = Files::default();
    for program in lanes.filter_map(|lane| lane.program.as_ref()) {
        files.add_program(program)?;
    }
    if files.0.is_empty() {
        return Ok(Vec::new());
    }
    for path in COMMON {
        files.add_if_there(Path::new(path))?;
    }
    files
        .0
        .entry("/etc/hosts".into())
        .or_insert((0o644, Vec::new()));
    let total: usize = files.0.values().map(|(_, bytes)| bytes.len()).sum();
    if total as u64 > MOST_BYTES {
        return Err(VmError::system("send the programs to the guest")(
            io::Error::other(format!(
                "their files have {} MiB, {} fit; name fewer or smaller directories in `files:`",
                total >> 20,
                MOST_BYTES >> 20
            )),
        ));
    }
    let mut packed = Vec::with_capacity(total + (files.0.len() << 7));
    for (path, (mode, bytes)) in files.0 {
        let path = path.into_os_string().into_encoded_bytes();
        packed.extend((path.len() as u64).to_le_bytes());
        packed.extend(path);
        packed.extend(u64::from(mode).to_le_bytes());
        packed.extend((bytes.len() as u64).to_le_bytes());
        packed.extend(bytes);
    }
    Ok(packed)
}

/// What of a case's programs is not on this machine, with the cure: such a case is not
/// run, whatever the guest made of it.
pub(crate) fn lacks(case: &Case) -> Option<String> {
    case.lanes.iter().find_map(|lane| {
        let program = lane.program.as_ref()?;
        if let Err(e) = find_program(&lane.name, program) {
            return Some(chain(&e));
        }
        let missing = program
            .files
            .iter()
            .find(|pattern| matching(pattern).next().is_none())?;
        Some(format!(
            "this machine cannot give the lane {} its `files:`: {missing} is not there; correct \
             the path, or make it",
            lane.name
        ))
    })
}

/// The paths that a pattern names. One that is no pattern names itself.
fn matching(pattern: &str) -> impl Iterator<Item = PathBuf> {
    let paths = glob::glob(pattern).into_iter();
    paths.flat_map(Iterator::flatten)
}

/// The case as a guest gets it: its programs are looked up as on this machine.
pub(crate) fn with_path(case: &Case) -> Cow<'_, Case> {
    let mut case = Cow::Borrowed(case);
    if case.lanes.iter().any(|lane| lane.program.is_some()) {
        let lanes = case.to_mut().lanes.iter_mut();
        for program in lanes.filter_map(|lane| lane.program.as_mut()) {
            program.env.entry("PATH".to_owned()).or_insert_with(path);
        }
    }
    case
}

fn path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned())
}

/// Writes packed files to where they belong.
///
/// # Errors
/// When they are cut off, or cannot be written.
pub(crate) fn unpack(packed: &[u8]) -> io::Result<()> {
    if !packed.is_empty() {
        merge_usr()?;
    }
    write_all(packed)
}

/// /bin is /usr/bin, as distributions have it: a program that was found in one may be
/// run by the other's name, `/bin/sh` above all.
fn merge_usr() -> io::Result<()> {
    for (link, directory) in [("/bin", "/usr/bin"), ("/sbin", "/usr/sbin")] {
        if !Path::new(link).exists() {
            fs::create_dir_all(directory)?;
            symlink(directory, link)?;
        }
    }
    Ok(())
}

fn write_all(mut packed: &[u8]) -> io::Result<()> {
    let mut take = |length: usize| {
        let (taken, rest) = packed
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        packed = rest;
        Ok::<_, io::Error>((taken, rest.is_empty()))
    };
    let number = |bytes: &[u8]| {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        usize::try_from(u64::from_le_bytes(bytes)).map_err(io::Error::other)
    };
    loop {
        let Ok((length, _)) = take(8) else {
            return Ok(());
        };
        let (path, _) = take(number(length)?)?;
        let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
        let mode = number(take(8)?.0)?;
        let length = number(take(8)?.0)?;
        let (bytes, last) = take(length)?;
        if mode & S_IFDIR as usize != 0 {
            fs::create_dir_all(&path)?;
        } else if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        // The guest's own libraries are there already, and in use.
        if !path.exists() {
            fs::write(&path, bytes)?;
            let mode = u32::try_from(mode).map_err(io::Error::other)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        if last {
            return Ok(());
        }
    }
}

#[derive(Default)]
struct Files(BTreeMap<PathBuf, (u32, Vec<u8>)>);

impl Files {
    fn add_program(&mut self, program: &Program) -> Result<(), VmError> {
        let path = program.env.get("PATH").cloned().unwrap_or_else(path);
        for command in program.prepare.iter().chain([&program.run]) {
            // One that is missing is said by the guest, as on this machine.
            if let Some(name) = command.first().filter(|name| !name.contains('/')) {
                let mut places = path.split(':').map(|d| Path::new(d).join(name));
                if let Some(found) = places.find(|place| place.is_file()) {
                    self.add_if_there(&found)?;
                }
            }
            // What a shell's text may run.
            let texts = command.iter().skip(1).filter(|word| word.contains(' '));
            for name in texts.flat_map(|text| text.split(|c: char| !is_of_name(c))) {
                let mut places = path.split(':').map(|d| Path::new(d).join(name));
                if !name.is_empty()
                    && let Some(found) = places.find(|place| place.is_file())
                {
                    self.add_if_there(&found)?;
                }
            }
            // Paths among the words: the program's own, or a script.
            for word in command.iter().filter(|word| word.starts_with('/')) {
                if Path::new(word).is_file() {
                    self.add_if_there(Path::new(word))?;
                }
            }
        }
        for pattern in &program.files {
            self.add_matching(pattern)?;
        }
        Ok(())
    }

    /// What a pattern of `files:` names, such as `/usr/lib/python3.*`. [`lacks`] tells
    /// of one that names nothing.
    fn add_matching(&mut self, pattern: &str) -> Result<(), VmError> {
        for path in matching(pattern) {
            self.add_if_there(&path)?;
        }
        Ok(())
    }

    /// A file with what it is executed by, or a directory with all in it.
    fn add_if_there(&mut self, path: &Path) -> Result<(), VmError> {
        let Ok(metadata) = fs::metadata(path) else {
            return Ok(());
        };
        if metadata.is_dir() {
            let mode = S_IFDIR | metadata.permissions().mode() & 0o7777;
            self.0.insert(path.to_owned(), (mode, Vec::new()));
            let entries = fs::read_dir(path).map_err(VmError::file(path))?;
            for entry in entries.flatten() {
                // Neither Python's caches of other versions nor tests.
                if entry.file_name() != "__pycache__" {
                    self.add_if_there(&entry.path())?;
                }
            }
            return Ok(());
        }
        if !metadata.is_file() || self.0.contains_key(path) {
            return Ok(());
        }
        let bytes = fs::read(path).map_err(VmError::file(path))?;
        let loader = interpreter(&bytes).filter(|_| bytes.starts_with(b"\x7fELF"));
        let script = bytes.strip_prefix(b"#!").map(first_word);
        self.0.insert(
            path.to_owned(),
            (metadata.permissions().mode() & 0o7777, bytes),
        );
        if let Some(loader) = loader {
            self.add_if_there(Path::new(&loader))?;
            for library in libraries(&loader, path) {
                self.add_if_there(Path::new(&library))?;
            }
        } else if let Some(interpreter) = script {
            self.add_if_there(Path::new(&interpreter))?;
        } else if is_library(path) {
            // What a library that is loaded later needs, by this machine's loader.
            for library in libraries(LOADER, path) {
                self.add_if_there(Path::new(&library))?;
            }
        }
        Ok(())
    }
}

/// For libraries that name none.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.+".contains(c)
}

fn first_word(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or(&[]));
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The libraries that a program is loaded with, as ldd(1) finds them.
fn libraries(loader: &str, program: &Path) -> Vec<String> {
    let listed = Command::new(loader).arg("--list").arg(program).output();
    let text = listed.map(|output| output.stdout).unwrap_or_default();
    named(&String::from_utf8_lossy(&text))
}

fn named(listed: &str) -> Vec<String> {
    let path = |line: &str| {
        let path = line.split_once("=> ").map_or(line.trim(), |(_, path)| path);
        let path = path.split_whitespace().next()?;
        path.starts_with('/').then(|| path.to_owned())
    };
    listed.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_list_is_read() {
        let listed = "\tlinux-vdso.so.1 (0x7ffe)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f1)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x7f2)\n";
        assert_eq!(
            named(listed),
            ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b");
        let name = path.to_str().expect("plain");
        let mut packed = Vec::new();
        let bytes = b"hello";
        packed.extend((name.len() as u64).to_le_bytes());
        packed.extend(name.as_bytes());
        packed.extend(0o755_u64.to_le_bytes());
        packed.extend((bytes.len() as u64).to_le_bytes());
        packed.extend(bytes);
        write_all(&packed).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"hello");
        assert!(write_all(&packed[..packed.len() - 1]).is_err());
        unpack(&[]).expect("nothing to do");
    }
}
