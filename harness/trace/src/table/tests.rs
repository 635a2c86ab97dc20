use super::*;
use crate::Readiness;

const MAIN: i32 = 100;
const CHILD: i32 = 200;

fn with_socket(fd: i32, close_on_exec: bool) -> (DescriptorTable, SocketId) {
    let mut table = DescriptorTable::default();
    table.task_started(MAIN);
    let id = table.new_socket(Protocol::Tcp);
    table.opened(MAIN, fd, Object::Socket(id), close_on_exec);
    (table, id)
}

fn id_at(table: &DescriptorTable, task: i32, fd: i32) -> Option<SocketId> {
    table.socket(task, fd).map(|socket| socket.id)
}

#[test]
fn threads_share_and_forks_copy() {
    let (mut table, id) = with_socket(3, false);
    table.task_created(MAIN, CHILD, true);
    table.task_created(MAIN, 300, false);
    table.closed(CHILD, 3);
    assert_eq!(id_at(&table, MAIN, 3), None, "a thread closed it for all");
    assert_eq!(id_at(&table, 300, 3), Some(id), "a fork has its own");
    table.task_ended(300);
    assert_eq!(table.get(id), None, "nobody has it any more");
}

#[test]
fn the_last_thread_takes_the_descriptors_with_it() {
    let (mut table, id) = with_socket(3, false);
    table.task_created(MAIN, CHILD, true);
    table.task_ended(MAIN);
    assert_eq!(id_at(&table, CHILD, 3), Some(id));
    table.task_ended(CHILD);
    assert_eq!(table.get(id), None);
}

#[test]
fn duplicates_are_the_same_socket() {
    let (mut table, id) = with_socket(3, true);
    table.duplicated(MAIN, 3, 9, false);
    table.closed(MAIN, 3);
    assert_eq!(id_at(&table, MAIN, 9), Some(id));
    table.duplicated(MAIN, 9, 9, false);
    assert_eq!(id_at(&table, MAIN, 9), Some(id), "dup2(9, 9) does nothing");
    table.duplicated(MAIN, 1, 9, false);
    assert_eq!(id_at(&table, MAIN, 9), None, "dup2(file, 9) closes it");
    assert_eq!(table.get(id), None);
}

#[test]
fn exec_closes_what_is_marked() {
    let (mut table, id) = with_socket(3, true);
    table.duplicated(MAIN, 3, 4, false);
    table.duplicated(MAIN, 3, 5, false);
    table.marked(MAIN, 5, true);
    table.executed(MAIN, MAIN);
    let left: Vec<_> = (3..6).map(|fd| id_at(&table, MAIN, fd)).collect();
    assert_eq!(left, [None, Some(id), None]);
}

#[test]
fn exec_from_a_thread_takes_the_leaders_number() {
    let (mut table, id) = with_socket(3, false);
    table.task_created(MAIN, CHILD, true);
    table.executed(CHILD, MAIN);
    assert_eq!(id_at(&table, MAIN, 3), Some(id));
    assert_eq!(table.object(CHILD, 3), None);
    table.task_ended(MAIN);
    assert_eq!(table.get(id), None);
}

#[test]
fn exec_in_a_child_that_shares_leaves_the_parent_its_descriptors() {
    let (mut table, id) = with_socket(3, true);
    table.task_created(MAIN, CHILD, true);
    table.executed(CHILD, CHILD);
    assert_eq!(table.object(CHILD, 3), None);
    assert_eq!(id_at(&table, MAIN, 3), Some(id));
}

#[test]
fn ranges() {
    let (mut table, id) = with_socket(3, false);
    table.duplicated(MAIN, 3, 7, false);
    table.marked_range(MAIN, 7, u32::MAX);
    table.task_created(MAIN, CHILD, false);
    table.executed(CHILD, CHILD);
    assert_eq!(table.object(CHILD, 7), None);
    assert_eq!(id_at(&table, CHILD, 3), Some(id));
    table.closed_range(MAIN, 4, u32::MAX);
    assert_eq!(id_at(&table, MAIN, 3), Some(id));
    assert_eq!(table.object(MAIN, 7), None);
}

#[test]
fn unshared_files_go_their_own_way() {
    let (mut table, id) = with_socket(3, false);
    table.task_created(MAIN, CHILD, true);
    table.files_unshared(CHILD);
    table.closed(CHILD, 3);
    assert_eq!(id_at(&table, MAIN, 3), Some(id));
}

#[test]
fn epoll_names_the_socket_by_what_was_stored() {
    let (mut table, id) = with_socket(3, false);
    let epoll = table.new_epoll();
    table.opened(MAIN, 8, Object::Epoll(epoll), true);
    assert!(!table.epoll_has_sockets(MAIN, 8));
    table.epoll_added(MAIN, 8, 3, Readiness(1), 0xdead_beef);
    table.epoll_added(MAIN, 8, 1, Readiness(1), 7);
    assert_eq!(table.epoll_sockets(MAIN, 8).len(), 1, "stdout is no socket");
    let ready = table.epoll_ready(MAIN, 8, 0xdead_beef, Readiness(0x10));
    assert_eq!(
        ready.map(|ready| (ready.fd, ready.socket.id)),
        Some((3, id))
    );
    assert_eq!(table.epoll_ready(MAIN, 8, 7, Readiness(1)), None);
    table.closed(MAIN, 3);
    assert!(!table.epoll_has_sockets(MAIN, 8), "closing takes it out");
}

#[test]
fn epoll_keeps_a_socket_that_has_another_descriptor() {
    let (mut table, _) = with_socket(3, false);
    let epoll = table.new_epoll();
    table.opened(MAIN, 8, Object::Epoll(epoll), true);
    table.epoll_added(MAIN, 8, 3, Readiness(1), 3);
    table.duplicated(MAIN, 3, 4, false);
    table.closed(MAIN, 3);
    assert!(table.epoll_has_sockets(MAIN, 8), "epoll(7), question 6");
    table.epoll_removed(MAIN, 8, 3);
    assert!(!table.epoll_has_sockets(MAIN, 8));
}

#[test]
fn unknown_tasks_and_descriptors_change_nothing() {
    let (mut table, id) = with_socket(3, false);
    table.closed(999, 3);
    table.task_ended(999);
    table.executed(999, 998);
    table.closed(MAIN, -1);
    table.closed_range(MAIN, 9, 4);
    table.opened(999, 5, Object::Socket(id), false);
    table.closed(MAIN, 3);
    assert_eq!(table.get(id), None, "a failed open left no count behind");
}

#[test]
fn a_socket_outlives_its_descriptors_while_a_message_carries_it() {
    let (mut table, id) = with_socket(3, false);
    table.set_inode(id, 77);
    table.sent(id);
    table.closed(MAIN, 3);
    table.task_created(MAIN, CHILD, false);
    assert_eq!(table.by_inode(77), Some(id));
    table.opened(CHILD, 5, Object::Socket(id), false);
    table.arrived(id);
    table.arrived(id);
    assert_eq!(id_at(&table, CHILD, 5), Some(id));
    table.closed(CHILD, 5);
    assert_eq!(table.get(id), None);
}
