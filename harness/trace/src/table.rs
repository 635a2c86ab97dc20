//! Which descriptors of which process are sockets.
//!
//! A pure state machine: the tracer tells it what calls did, tests do the same.
//! It follows the kernel's model (fs/file.c, kernel/fork.c): threads that were
//! made with CLONE_FILES share one set of descriptors, fork() copies it, exec()
//! gives a task a set of its own and closes what is marked close-on-exec.
//! Descriptors that are neither sockets nor epoll instances are not in it.

mod epoll;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::event::{Protocol, Socket, SocketId};

pub use epoll::EpollId;
use epoll::Interest;

/// Identifies a set of descriptors (the kernel's `struct files_struct`).
type FilesId = u32;

/// What a descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// An internet socket.
    Socket(SocketId),
    /// An epoll instance.
    Epoll(EpollId),
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    object: Object,
    close_on_exec: bool,
}

#[derive(Debug, Clone, Default)]
struct Files {
    tasks: u32,
    slots: BTreeMap<i32, Slot>,
}

#[derive(Debug)]
struct Open {
    socket: Socket,
    inode: Option<u64>,
    /// Descriptors, in all processes, and messages that carry it.
    descriptors: u32,
    /// Messages alone.
    messages: u32,
}

/// The sockets of all traced tasks.
#[derive(Debug, Default)]
pub struct DescriptorTable {
    tasks: BTreeMap<i32, FilesId>,
    files: BTreeMap<FilesId, Files>,
    sockets: BTreeMap<SocketId, Open>,
    epolls: BTreeMap<EpollId, (u32, Interest)>,
    next_files: FilesId,
    next_socket: u32,
    next_epoll: u32,
}

impl DescriptorTable {
    /// A task without parent: the program that is started, or one whose parent
    /// is not known.
    pub fn task_started(&mut self, task: i32) {
        self.task_ended(task);
        self.add_files(task, Files::default());
    }

    /// `parent` made `child`, with CLONE_FILES or without.
    pub fn task_created(&mut self, parent: i32, child: i32, shares_files: bool) {
        self.task_ended(child);
        let Some(&id) = self.tasks.get(&parent) else {
            return self.task_started(child);
        };
        let Some(files) = self.files.get_mut(&id) else {
            return self.task_started(child);
        };
        if shares_files {
            files.tasks += 1;
            self.tasks.insert(child, id);
        } else {
            let slots = files.slots.clone();
            self.retain_all(&slots);
            self.add_files(child, Files { tasks: 0, slots });
        }
    }

    /// The task ended.
    pub fn task_ended(&mut self, task: i32) {
        let Some(id) = self.tasks.remove(&task) else {
            return;
        };
        let Some(files) = self.files.get_mut(&id) else {
            return;
        };
        files.tasks -= 1;
        if files.tasks == 0 {
            let slots = std::mem::take(&mut files.slots);
            self.files.remove(&id);
            for slot in slots.values() {
                self.release(slot.object);
            }
        }
    }

    /// The task called unshare(CLONE_FILES), or does so as a part of exec().
    pub fn files_unshared(&mut self, task: i32) {
        let Some(&id) = self.tasks.get(&task) else {
            return;
        };
        let Some(files) = self.files.get_mut(&id).filter(|files| files.tasks > 1) else {
            return;
        };
        files.tasks -= 1;
        let slots = files.slots.clone();
        self.retain_all(&slots);
        self.tasks.remove(&task);
        self.add_files(task, Files { tasks: 0, slots });
    }

    /// `caller`, a thread of process `pid`, executed another program; it is
    /// called `pid` from now on.
    pub fn executed(&mut self, caller: i32, pid: i32) {
        if caller != pid && self.tasks.contains_key(&caller) {
            self.task_ended(pid);
            if let Some(id) = self.tasks.remove(&caller) {
                self.tasks.insert(pid, id);
            }
        }
        self.files_unshared(pid);
        self.close_where(pid, |_, slot| slot.close_on_exec);
    }

    /// A new socket without addresses.
    pub fn new_socket(&mut self, protocol: Protocol) -> SocketId {
        let id = SocketId(self.next_socket);
        self.next_socket += 1;
        let socket = Socket {
            id,
            protocol,
            local: None,
            peer: None,
            listening: false,
        };
        let open = Open {
            socket,
            inode: None,
            descriptors: 0,
            messages: 0,
        };
        self.sockets.insert(id, open);
        id
    }

    /// `fd` of the task refers to `object` from now on, whatever it was before.
    pub fn opened(&mut self, task: i32, fd: i32, object: Object, close_on_exec: bool) {
        // Counted first: dup2(fd, fd) must not end the socket.
        self.retain(object);
        self.closed(task, fd);
        match self.files_of(task) {
            Some(files) => {
                let slot = Slot {
                    object,
                    close_on_exec,
                };
                files.slots.insert(fd, slot);
            }
            None => self.release(object),
        }
    }

    /// dup(), dup2(), dup3() and fcntl(F_DUPFD) made `new` from `old`.
    pub fn duplicated(&mut self, task: i32, old: i32, new: i32, close_on_exec: bool) {
        match self.object(task, old) {
            Some(_) if old == new => {}
            Some(object) => self.opened(task, new, object, close_on_exec),
            None => self.closed(task, new),
        }
    }

    /// `fd` of the task is closed.
    pub fn closed(&mut self, task: i32, fd: i32) {
        let slot = self
            .files_of(task)
            .and_then(|files| files.slots.remove(&fd));
        if let Some(slot) = slot {
            self.release(slot.object);
        }
    }

    /// close_range(first, last).
    pub fn closed_range(&mut self, task: i32, first: u32, last: u32) {
        self.close_where(task, |fd, _| in_range(fd, first, last));
    }

    /// close_range(first, last, CLOSE_RANGE_CLOEXEC).
    pub fn marked_range(&mut self, task: i32, first: u32, last: u32) {
        let Some(files) = self.files_of(task) else {
            return;
        };
        for (fd, slot) in &mut files.slots {
            slot.close_on_exec |= in_range(*fd, first, last);
        }
    }

    /// fcntl(F_SETFD).
    pub fn marked(&mut self, task: i32, fd: i32, close_on_exec: bool) {
        if let Some(slot) = self
            .files_of(task)
            .and_then(|files| files.slots.get_mut(&fd))
        {
            slot.close_on_exec = close_on_exec;
        }
    }

    /// What `fd` refers to; None: neither a socket nor an epoll instance.
    pub fn object(&self, task: i32, fd: i32) -> Option<Object> {
        let files = self.files.get(self.tasks.get(&task)?)?;
        files.slots.get(&fd).map(|slot| slot.object)
    }

    /// The socket behind `fd`.
    pub fn socket(&self, task: i32, fd: i32) -> Option<Socket> {
        match self.object(task, fd)? {
            Object::Socket(id) => self.get(id),
            Object::Epoll(_) => None,
        }
    }

    /// A socket that has at least one descriptor.
    pub fn get(&self, id: SocketId) -> Option<Socket> {
        self.sockets.get(&id).map(|open| open.socket)
    }

    /// The socket with this inode of sockfs, if it was seen before.
    pub fn by_inode(&self, inode: u64) -> Option<SocketId> {
        let known = |(_, open): &(&SocketId, &Open)| open.inode == Some(inode);
        self.sockets.iter().find(known).map(|(id, _)| *id)
    }

    /// Notes the socket's inode.
    pub fn set_inode(&mut self, id: SocketId, inode: u64) {
        if let Some(open) = self.sockets.get_mut(&id) {
            open.inode = Some(inode);
        }
    }

    /// A message with the socket is under way: it lives even if every
    /// descriptor is closed.
    pub fn sent(&mut self, id: SocketId) {
        if let Some(open) = self.sockets.get_mut(&id) {
            open.messages += 1;
            open.descriptors += 1;
        }
    }

    /// A message with the socket arrived, and [`Self::opened`] was called.
    pub fn arrived(&mut self, id: SocketId) {
        if let Some(open) = self.sockets.get_mut(&id)
            && open.messages > 0
        {
            open.messages -= 1;
            self.release(Object::Socket(id));
        }
    }

    /// Notes addresses; None leaves what was known.
    pub fn set_addresses(
        &mut self,
        id: SocketId,
        local: Option<SocketAddr>,
        peer: Option<SocketAddr>,
    ) {
        if let Some(open) = self.sockets.get_mut(&id) {
            open.socket.local = local.or(open.socket.local);
            open.socket.peer = peer.or(open.socket.peer);
        }
    }

    /// Notes that listen() succeeded.
    pub fn set_listening(&mut self, id: SocketId) {
        if let Some(open) = self.sockets.get_mut(&id) {
            open.socket.listening = true;
        }
    }

    fn add_files(&mut self, task: i32, mut files: Files) {
        files.tasks = 1;
        self.tasks.insert(task, self.next_files);
        self.files.insert(self.next_files, files);
        self.next_files += 1;
    }

    fn files_of(&mut self, task: i32) -> Option<&mut Files> {
        self.files.get_mut(self.tasks.get(&task)?)
    }

    fn close_where(&mut self, task: i32, which: impl Fn(i32, &Slot) -> bool) {
        let Some(files) = self.files_of(task) else {
            return;
        };
        let closing: Vec<i32> = files
            .slots
            .iter()
            .filter(|(fd, slot)| which(**fd, slot))
            .map(|(fd, _)| *fd)
            .collect();
        for fd in closing {
            self.closed(task, fd);
        }
    }

    fn retain_all(&mut self, slots: &BTreeMap<i32, Slot>) {
        for slot in slots.values() {
            self.retain(slot.object);
        }
    }

    fn retain(&mut self, object: Object) {
        match object {
            Object::Socket(id) => {
                if let Some(open) = self.sockets.get_mut(&id) {
                    open.descriptors += 1;
                }
            }
            Object::Epoll(id) => {
                if let Some((descriptors, _)) = self.epolls.get_mut(&id) {
                    *descriptors += 1;
                }
            }
        }
    }

    fn release(&mut self, object: Object) {
        match object {
            Object::Socket(id) => {
                let Some(open) = self.sockets.get_mut(&id) else {
                    return;
                };
                open.descriptors = open.descriptors.saturating_sub(1);
                if open.descriptors == 0 {
                    self.sockets.remove(&id);
                    // eventpoll_release(): the last descriptor takes it out of every instance.
                    for (_, interest) in self.epolls.values_mut() {
                        interest.forget(id);
                    }
                }
            }
            Object::Epoll(id) => {
                let Some((descriptors, _)) = self.epolls.get_mut(&id) else {
                    return;
                };
                *descriptors = descriptors.saturating_sub(1);
                if *descriptors == 0 {
                    self.epolls.remove(&id);
                }
            }
        }
    }
}

fn in_range(fd: i32, first: u32, last: u32) -> bool {
    u32::try_from(fd).is_ok_and(|fd| (first..=last).contains(&fd))
}
