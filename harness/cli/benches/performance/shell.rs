//! The same network by commands: what a careful shell script does. It pins no
//! sysctls either, which is in its favour.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};

const UP: &str = "
ip netns add client
ip netns add server
ip netns add wire
ip -n wire link add wa type veth peer name eth0 netns client
ip -n wire link add wb type veth peer name eth0 netns server
ip -n wire link set wa up
ip -n wire link set wb up
ip netns exec wire nft -f - <<'RULES'
table netdev t {
  chain a { type filter hook ingress device wa priority 0; fwd to wb; }
  chain b { type filter hook ingress device wb priority 0; fwd to wa; }
}
RULES
ip -n client link set lo up
ip -n client addr add 10.77.1.1/24 dev eth0
ip -n client link set eth0 up
ip -n server link set lo up
ip -n server addr add 10.77.1.2/24 dev eth0
ip -n server link set eth0 up
";

const DOWN: &str = "
ip netns del client
ip netns del server
ip netns del wire
";

/// Gives `ip netns` a directory of its own for its names. Inside the
/// sandbox, whose mounts are its own.
pub fn prepare() -> io::Result<()> {
    let none = None::<&str>;
    mount(Some("bench"), "/run", Some("tmpfs"), MsFlags::empty(), none)?;
    Ok(())
}

pub fn up() -> io::Result<()> {
    script(UP)
}

pub fn down() -> io::Result<()> {
    script(DOWN)
}

pub fn namespace(name: &str) -> io::Result<File> {
    File::open(Path::new("/run/netns").join(name))
}

fn script(text: &str) -> io::Result<()> {
    let mut shell = Command::new("sh")
        .args(["-e", "-s"])
        .stdin(Stdio::piped())
        .spawn()?;
    // Dropped when it is written: the script's end.
    if let Some(mut stdin) = shell.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let status = shell.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the commands ended with {status}; they need iproute2 and nftables (ci/setup installs them)"
    )))
}
