//! Processes and threads: how they are made, execute programs, and end.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;

use super::calls::Task;
use super::{Tracer, unless_gone};
use crate::error::TraceError;
use crate::event::{End, Unseen, What};
use halfopen_sys::process::send_signal;
use halfopen_sys::ptrace;

/// A traced process.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Made when the first address is asked for.
    pub(super) pidfd: Option<OwnedFd>,
    /// It was said that it asked for an io_uring.
    pub(super) io_uring_said: bool,
}

/// Where an ELF header says 32 or 64 bits (elf(5), EI_CLASS).
const EI_CLASS: usize = 4;
const ELFCLASS32: u8 = 1;

impl Tracer<'_> {
    pub(super) fn add_process(&mut self, pid: i32) {
        self.processes.insert(pid, Process::default());
        self.tasks.insert(pid, Task::new(pid));
        if self.ending {
            let _ = send_signal(pid, libc::SIGKILL);
        }
    }

    /// `parent` is stopped in fork(), vfork() or clone(), which made a task.
    pub(super) fn task_created(&mut self, parent: i32, at: i64) -> Result<(), TraceError> {
        let Some(child) = message(parent) else {
            return Ok(()); // It was killed meanwhile.
        };
        let flags = clone_flags(parent);
        let thread = flags & libc::CLONE_THREAD.cast_unsigned() as u64 != 0;
        let shares_files = flags & libc::CLONE_FILES.cast_unsigned() as u64 != 0;
        self.table.task_created(parent, child, shares_files);
        if thread {
            let pid = self.tasks.get(&parent).map_or(parent, |task| task.pid);
            self.tasks.insert(child, Task::new(pid));
        } else {
            self.add_process(child);
        }
        self.emit(at, parent, What::Created { child, thread });
        if self.early.remove(&child) {
            unless_gone(ptrace::cont(child, 0))?;
        }
        unless_gone(ptrace::cont(parent, 0))
    }

    /// `pid` has executed a program; a thread that did so has become `pid`,
    /// and all others of its process are gone or going.
    pub(super) fn executed(&mut self, pid: i32, at: i64) -> Result<(), TraceError> {
        let former = message(pid).unwrap_or(pid);
        self.table.executed(former, pid);
        self.tasks.remove(&former);
        self.tasks.insert(pid, Task::new(pid));
        self.processes.entry(pid).or_default();
        if self.began_ns.is_none() {
            self.began_ns = Some(at);
            self.adopt_inherited(pid);
        }
        let path = fs::read_link(format!("/proc/{pid}/exe"))
            .map_or_else(|_| String::new(), |path| path.display().to_string());
        let argv = arguments(pid);
        self.emit(at, pid, What::Executed { path, argv });
        if is_32_bit(pid) {
            self.emit(at, pid, What::Unseen(Unseen::ThirtyTwoBit));
        }
        unless_gone(ptrace::cont(pid, 0))
    }

    pub(super) fn task_ended(&mut self, tid: i32, end: End, at: i64) {
        let pid = self.tasks.get(&tid).map_or(tid, |task| task.pid);
        if self.began_ns.is_some() {
            if tid == self.main {
                self.emit(at, tid, What::Cost(self.cost));
            }
            let what = match tid == pid {
                true => What::Ended(end),
                false => What::ThreadEnded,
            };
            self.emit(at, tid, what);
        }
        self.table.task_ended(tid);
        self.tasks.remove(&tid);
        if tid != pid {
            return;
        }
        self.processes.remove(&pid);
        if pid == self.main {
            self.ended = Some((end, at));
        }
        // What it was making when it was killed has nobody to tell of it.
        let _ = self.adopt_orphans(at);
    }

    /// Lets tasks go whose parent was killed before its stop told of them.
    pub(super) fn adopt_orphans(&mut self, at: i64) -> Result<(), TraceError> {
        let early: Vec<i32> = self.early.iter().copied().collect();
        for tid in early {
            let Some((pid, parent)) = process_and_parent(tid) else {
                continue;
            };
            let made_by = if pid == tid { parent } else { pid };
            if self.processes.contains_key(&made_by) {
                continue;
            }
            self.early.remove(&tid);
            self.add_process(tid);
            self.table.task_started(tid);
            self.emit(at, tid, What::Unseen(Unseen::LostParent));
            unless_gone(ptrace::cont(tid, 0))?;
        }
        Ok(())
    }
}

/// A task's number from PTRACE_GETEVENTMSG.
fn message(tid: i32) -> Option<i32> {
    i32::try_from(ptrace::event_message(tid).ok()?).ok()
}

/// The flags with which the stopped task makes another one. fork() and vfork()
/// have none; what cannot be read counts as none, too.
#[cfg(target_arch = "x86_64")]
fn clone_flags(tid: i32) -> u64 {
    use crate::decode::Memory;

    let Ok(registers) = nix::sys::ptrace::getregs(nix::unistd::Pid::from_raw(tid)) else {
        return 0;
    };
    match registers.orig_rax.cast_signed() {
        libc::SYS_clone => registers.rdi,
        // struct clone_args begins with them.
        libc::SYS_clone3 => Memory { tid }.long(registers.rdi).unwrap_or(0),
        _ => 0,
    }
}

/// Elsewhere, a task of the same process counts as a thread that shares all.
#[cfg(not(target_arch = "x86_64"))]
fn clone_flags(tid: i32) -> u64 {
    let same_process = message(tid)
        .and_then(process_and_parent)
        .zip(process_and_parent(tid))
        .is_some_and(|((child, _), (parent, _))| child == parent);
    match same_process {
        true => (libc::CLONE_THREAD | libc::CLONE_FILES).cast_unsigned() as u64,
        false => 0,
    }
}

/// Tgid and PPid of /proc/TID/status.
fn process_and_parent(tid: i32) -> Option<(i32, i32)> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let field = |name: &str| -> Option<i32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some((field("Tgid:")?, field("PPid:")?))
}

fn arguments(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    bytes
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

fn is_32_bit(pid: i32) -> bool {
    let mut header = [0; EI_CLASS + 1];
    fs::File::open(format!("/proc/{pid}/exe"))
        .and_then(|mut file| file.read_exact(&mut header))
        .is_ok_and(|()| header[EI_CLASS] == ELFCLASS32)
}
