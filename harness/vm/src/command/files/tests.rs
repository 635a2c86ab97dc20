//! Messages as a guest's kernel sends them, and what they do here.

use std::fs;

use super::*;

fn message(operation: u32, node: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    bytes[4..8].copy_from_slice(&operation.to_le_bytes());
    bytes[16..24].copy_from_slice(&node.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// The answer's errno, 0 for none, and its content.
fn ask(server: &mut FileServer, operation: u32, node: u64, body: &[u8]) -> (i32, Vec<u8>) {
    let answer = server.answer(&message(operation, node, body));
    let error = Body(&answer).u32(4).cast_signed();
    (-error, answer[16..].to_vec())
}

/// The number of the node at a path.
fn walk(server: &mut FileServer, path: &Path) -> u64 {
    let mut node = nodes::ROOT;
    for name in path.components().skip(1) {
        let mut name = name.as_os_str().as_encoded_bytes().to_vec();
        name.push(0);
        let (error, entry) = ask(server, op::LOOKUP, node, &name);
        assert_eq!(error, 0, "{}", path.display());
        node = Body(&entry).u64(0);
        assert_ne!(node, 0, "{}", path.display());
    }
    node
}

fn read(server: &mut FileServer, node: u64) -> Vec<u8> {
    let (error, opened) = ask(server, op::OPEN, node, &[0; 8]);
    assert_eq!(error, 0);
    let mut body = opened[..8].to_vec();
    body.extend([0; 8]);
    body.extend(4096_u32.to_le_bytes());
    ask(server, op::READ, node, &body).1
}

#[test]
fn everything_can_be_read_and_only_what_was_named_be_written() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = fs::canonicalize(folder.path()).expect("it is there");
    let (inside, outside) = (root.join("in"), root.join("out"));
    for directory in [&inside, &outside] {
        fs::create_dir(directory).expect("made");
        fs::write(directory.join("file"), "content").expect("written");
    }
    let mut server = FileServer::new(vec![inside.clone()]);
    let [inside_node, outside_node] = [&inside, &outside].map(|path| walk(&mut server, path));
    let file = walk(&mut server, &outside.join("file"));
    assert_eq!(read(&mut server, file), b"content");

    let mut create = Vec::new();
    for number in [libc::O_WRONLY.cast_unsigned(), 0o644, 0, 0] {
        create.extend(number.to_le_bytes());
    }
    create.extend(b"new\0");
    let refused = ask(&mut server, op::CREATE, outside_node, &create).0;
    assert_eq!(refused, libc::EROFS);
    assert_eq!(
        ask(&mut server, op::UNLINK, outside_node, b"file\0").0,
        libc::EROFS
    );
    // The directory itself stays, too.
    let above = walk(&mut server, &root);
    assert_eq!(ask(&mut server, op::RMDIR, above, b"in\0").0, libc::EROFS);

    let (error, made) = ask(&mut server, op::CREATE, inside_node, &create);
    assert_eq!(error, 0);
    let (node, handle) = (Body(&made).u64(0), Body(&made).u64(128));
    let mut write = handle.to_le_bytes().to_vec();
    write.extend([0; 8]);
    write.extend(5_u32.to_le_bytes());
    write.resize(40, 0);
    write.extend(b"hello");
    assert_eq!(ask(&mut server, op::WRITE, node, &write).0, 0);
    assert_eq!(fs::read(inside.join("new")).expect("there"), b"hello");

    // A renamed file keeps its number.
    let mut rename = inside_node.to_le_bytes().to_vec();
    rename.extend(b"new\0newer\0");
    assert_eq!(ask(&mut server, op::RENAME, inside_node, &rename).0, 0);
    assert_eq!(walk(&mut server, &inside.join("newer")), node);
    assert_eq!(read(&mut server, node), b"hello");
    assert_eq!(ask(&mut server, op::UNLINK, inside_node, b"newer\0").0, 0);
    assert!(!inside.join("newer").exists());
}

#[test]
fn what_is_not_there_is_remembered_and_directories_are_sorted() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = fs::canonicalize(folder.path()).expect("it is there");
    for name in ["b", "c", "a"] {
        fs::write(root.join(name), "").expect("written");
    }
    let mut server = FileServer::new(Vec::new());
    let node = walk(&mut server, &root);
    let (error, entry) = ask(&mut server, op::LOOKUP, node, b"nothing\0");
    assert_eq!((error, Body(&entry).u64(0)), (0, 0));

    let (_, opened) = ask(&mut server, op::OPENDIR, node, &[0; 8]);
    let list = |server: &mut FileServer, from: u64, size: u32| {
        let mut body = opened[..8].to_vec();
        body.extend(from.to_le_bytes());
        body.extend(size.to_le_bytes());
        ask(server, op::READDIR, node, &body).1
    };
    let whole = list(&mut server, 0, 4096);
    let names: Vec<char> = whole.chunks(32).map(|entry| entry[24].into()).collect();
    assert_eq!(names, ['.', '.', 'a', 'b', 'c']);
    // In pieces: the first two, then from there.
    let (first, rest) = (list(&mut server, 0, 70), list(&mut server, 2, 4096));
    assert_eq!([first, rest].concat(), whole);
}

#[test]
fn nonsense_is_answered_with_an_error() {
    let mut server = FileServer::new(Vec::new());
    assert_eq!(server.answer(b"short"), b"");
    for operation in 1..60 {
        let message = message(operation, 4711, &[0xff; 8]);
        let answer = server.answer(&message);
        assert!(answer.is_empty() || answer.len() >= 16, "{operation}");
    }
}
