//! Where a test's packets are kept.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file for this thread's test: `target/halfopen/PROGRAM-TEST.pcapng`, with a number
/// from the second recording of a test on. None: the program is none of cargo's tests.
pub(super) fn file() -> Option<PathBuf> {
    static USED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
    let thread = std::thread::current();
    let (folder, name) = file_of(&std::env::current_exe().ok()?, thread.name())?;
    let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = used.entry(name.clone()).or_default();
    *count += 1;
    Some(match *count {
        1 => folder.join(format!("{name}.pcapng")),
        number => folder.join(format!("{name}-{number}.pcapng")),
    })
}

/// Makes the file's directory.
pub(super) fn prepare(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// The directory, and the file's name without what follows.
fn file_of(program: &Path, thread: Option<&str>) -> Option<(PathBuf, String)> {
    // target/debug/deps/NAME-HASH
    let deps = program.parent()?;
    if deps.file_name()? != "deps" {
        return None;
    }
    let target = deps.parent()?.parent()?;
    let program = program.file_name()?.to_str()?;
    let program = program.rsplit_once('-').map_or(program, |(name, _)| name);
    let test = thread.unwrap_or("main").replace("::", "-");
    Some((target.join("halfopen"), format!("{program}-{test}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_below_target_and_are_named_by_tests() {
        let of = |program: &str| file_of(Path::new(program), Some("inside::crash"));
        assert_eq!(
            of("/x/target/debug/deps/pool-client-0123abcd"),
            Some((
                "/x/target/halfopen".into(),
                "pool-client-inside-crash".to_owned()
            ))
        );
        assert_eq!(of("/x/target/debug/pool-client"), None);
        // Each recording has a file of its own.
        assert_ne!(file(), file());
    }
}
