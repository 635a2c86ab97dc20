//! Tests by the attribute `#[halfopen_lab::test]`. Those in guests are started by
//! guest_command.rs, which says where the command is.

use std::time::{Duration, Instant};

use halfopen_lab::{Lab, sandbox};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

type Tested = Result<(), Box<dyn std::error::Error>>;

fn lab() -> Result<Lab, halfopen_lab::LabError> {
    Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
        .build()
}

#[halfopen_lab::test]
fn a_test_can_build_a_lab() {
    lab().expect("it is in a sandbox");
}

#[halfopen_lab::test]
async fn an_async_test_starts_tasks_on_hosts() -> Tested {
    let lab = lab()?;
    let (client, server) = (lab.host("client")?, lab.host("server")?);
    let address = (server.address(), 7000);
    let listener = server.spawn(TcpListener::bind(address))?.await??;
    let accepts = server.spawn(async move { listener.accept().await })?;
    let (accepted, connected) = (accepts, client.spawn(TcpStream::connect(address))?);
    let (mut stream, _) = accepted.await??;
    drop(connected.await??);
    assert_eq!(stream.read(&mut [0]).await?, 0);
    Ok(())
}

mod inside {
    use super::*;

    #[halfopen_lab::test(time = "virtual")]
    #[ignore = "needs QEMU and kernels"]
    async fn two_hours_take_no_time() -> Tested {
        assert!(sandbox::is_virtual_time());
        lab()?;
        let start = Instant::now();
        tokio::time::sleep(Duration::from_secs(7200)).await;
        assert!(start.elapsed() >= Duration::from_secs(7200));
        Ok(())
    }

    #[halfopen_lab::test(kernel = "5.10")]
    #[ignore = "needs QEMU and kernels"]
    fn another_kernel() -> std::io::Result<()> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        assert!(release.starts_with("5.10."), "{release}");
        Ok(())
    }

    /// What a test writes, where guest_command.rs wants it: as insta's snapshot, and below
    /// the target directory.
    #[halfopen_lab::test]
    #[ignore = "fails without what guest_command.rs prepares"]
    fn fails_without_a_place_for_its_snapshot() -> Tested {
        std::fs::create_dir_all(env!("CARGO_TARGET_TMPDIR"))?;
        let below_target = concat!(env!("CARGO_TARGET_TMPDIR"), "/written-by-a-test");
        std::fs::write(below_target, std::env::var("WORD")?)?;
        insta::assert_snapshot!("place", sandbox::is_virtual_time());
        Ok(())
    }

    #[halfopen_lab::test(time = "virtual")]
    #[ignore = "fails, on purpose"]
    fn fails() {
        panic!("as it should");
    }
}
