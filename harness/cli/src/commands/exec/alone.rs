//! A command that a guest runs alone, as if it ran here: tests that make their own
//! networks, in virtual time and on any kernel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::ExecArgs;
use crate::shared::error::{CliError, Exit};
use crate::shared::{guests, interrupt, output};
use halfopen_net::duration;
use halfopen_net::error::chain;
use halfopen_vm::command::{Command, Ended, Options, run};

use super::STILL_RUNNING;

/// A command that waits for a peer that never comes would else run for ever: an idle
/// hour of a guest takes a few milliseconds.
const GIVE_UP: Duration = Duration::from_hours(24);

pub(super) fn exec(args: &ExecArgs) -> Result<Exit, CliError> {
    let kernels = guests::kernels_of(args.kernel.as_slice())?;
    let [kernel] = kernels.as_slice() else {
        return Err(CliError::Usage(
            "--kernel all: a command runs on one kernel".into(),
        ));
    };
    let command = command(args)?;
    let (signals, interrupt) = interrupt::pass_on().unzip();
    let options = Options {
        memory_mib: args.memory,
        signals,
        interrupt,
        ..Options::default()
    };
    let mut remark = |why: &halfopen_vm::VmError| output::remark(&chain(why));
    match run(&command, kernel, &options, &mut remark) {
        Ok(ended) => Ok(exit(&ended, &command)),
        Err(halfopen_vm::VmError::Interrupted) => Ok(Exit::Interrupted),
        Err(e) => Err(CliError::Vm(chain(&e))),
    }
}

fn command(args: &ExecArgs) -> Result<Command, CliError> {
    let directory = std::env::current_dir()
        .map_err(|e| CliError::Usage(format!("the working directory: {e}")))?;
    let mut writable: Vec<PathBuf> = args.write.clone();
    writable.push(directory.clone());
    let program = args.command.first().map(Path::new);
    writable.extend(program.and_then(|program| target_directory(&directory.join(program))));
    let give_up = match &args.give_up {
        None => GIVE_UP,
        Some(text) => duration::positive(text)
            .map_err(|e| CliError::Usage(format!("--give-up {text}: {}", e.message)))?,
    };
    Ok(Command {
        words: args.command.iter().map(Into::into).collect(),
        environment: std::env::vars_os().collect(),
        writable: real_paths(&writable)?,
        directory,
        give_up,
    })
}

/// Cargo's target directory around the program. Cargo marks those that it makes by
/// CACHEDIR.TAG; one that was there before, empty or from a cache of a CI system, has what
/// cargo remembers of rustc.
fn target_directory(program: &Path) -> Option<PathBuf> {
    let marked = |directory: &&Path| {
        let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
        marks.iter().any(|mark| directory.join(mark).is_file())
    };
    program.ancestors().skip(1).find(marked).map(Path::to_owned)
}

/// The directories without symbolic links, and without the root directory: a command
/// that is run there writes nothing to this machine.
fn real_paths(directories: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut real = Vec::new();
    for directory in directories {
        let path = std::fs::canonicalize(directory)
            .map_err(|e| CliError::Usage(format!("{}: {e}", directory.display())))?;
        if !path.is_dir() {
            let path = path.display();
            return Err(CliError::Usage(format!(
                "--write {path}: it is not a directory"
            )));
        }
        if path.parent().is_some() && !real.contains(&path) {
            real.push(path);
        }
    }
    Ok(real)
}

fn exit(ended: &Ended, command: &Command) -> Exit {
    let code = |code: i32| Exit::Command(u8::try_from(code).unwrap_or(u8::MAX));
    match ended {
        Ended::Exited(status) => code(*status),
        Ended::Killed(signal) => code(128 + signal),
        Ended::StillRunning => {
            output::error("the command was still running when its time was up (--give-up)");
            Exit::Command(STILL_RUNNING)
        }
        Ended::NotStarted { errno } => {
            let name = command.words.first().cloned().unwrap_or_default();
            let e = std::io::Error::from_raw_os_error(*errno);
            output::error(&format!("failed to start {}: {e}", name.display()));
            // As shells do.
            code(if *errno == libc::ENOENT { 127 } else { 126 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_directory_is_found_by_its_mark() {
        for mark in ["CACHEDIR.TAG", ".rustc_info.json"] {
            let folder = tempfile::tempdir().expect("a directory");
            let target = folder.path().join("target");
            let program = target.join("debug/deps/it-0123");
            assert_eq!(target_directory(&program), None);
            std::fs::create_dir_all(program.parent().expect("deps")).expect("made");
            std::fs::write(target.join(mark), "Signature").expect("written");
            assert_eq!(target_directory(&program), Some(target));
        }
    }

    #[test]
    fn the_root_directory_is_not_written_to() {
        let real = real_paths(&["/".into(), "/proc/self/..".into()]).expect("they exist");
        assert_eq!(real, [PathBuf::from("/proc")]);
        assert!(real_paths(&["/nowhere".into()]).is_err());
    }
}
