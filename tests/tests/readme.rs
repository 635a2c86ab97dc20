//! The README's test, as it stands there: tests/documents.rs compares the two.
#![cfg_attr(rustfmt, rustfmt_skip)]

use std::{io::{ErrorKind, Read, Write}, net::{SocketAddr, TcpListener, TcpStream}, time::Duration};
use halfopen_lab::{Family, Lab};

halfopen_lab::sandboxed!(); // with or without root, before libtest starts its threads

#[test]
fn a_crashed_peer_is_not_noticed_by_writing() -> Result<(), Box<dyn std::error::Error>> {
    let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
    let address = SocketAddr::new(lab.address("server", Family::Ipv4)?, 7000);
    let listener = lab.enter("server", || TcpListener::bind(address))??;
    let mut client = lab.enter("client", || TcpStream::connect(address))??;
    client.set_read_timeout(Some(Duration::from_secs(1)))?;

    let _served = listener.accept()?;
    lab.crash("server")?;                         // what runs there ends without a word
    client.write_all(b"anybody there?")?;         // succeeds
    let read = client.read(&mut [0; 64]).map_err(|e| e.kind());
    assert_eq!(read, Err(ErrorKind::WouldBlock)); // silence
    Ok(())
}
