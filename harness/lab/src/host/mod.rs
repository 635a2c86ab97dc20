//! A handle to one host of a lab: what runs there is started through it.
//!
//! ```text
//! netns      which namespace the host has now
//! ending     ends processes and sockets, when the host crashes
//! runtime    tokio on the host (feature `tokio`)
//! observe    commands whose calls are observed (feature `trace`)
//! ```

mod ending;
mod netns;
#[cfg(feature = "trace")]
mod observe;
#[cfg(feature = "tokio")]
mod runtime;

use std::ffi::OsStr;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;

use crate::error::LabError;
use crate::namespace::Namespace;

pub(crate) use ending::signal_processes;
pub(crate) use netns::HostState;
#[cfg(feature = "trace")]
pub use observe::Observed;

/// A host of a lab. It does not borrow the lab, stays valid when the host crashes and
/// boots again, and can be cloned and sent to other threads.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::{TcpListener, TcpStream};
///
/// use halfopen_lab::Lab;
///
/// let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
/// let (client, server) = (lab.host("client")?, lab.host("server")?);
/// let listener = server.enter(|| TcpListener::bind((server.address(), 7000)))??;
/// let ping = client.command("ping")?.args(["-c", "1", "server"]).status()?;
/// # let _ = (listener, ping);
/// lab.crash("server")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(Arc<HostState>);

impl Host {
    pub(crate) fn new(state: Arc<HostState>) -> Self {
        Host(state)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// As [`Lab::enter`](crate::Lab::enter): runs `f` on the calling thread inside the
    /// host.
    ///
    /// # Errors
    /// [`LabError::Down`] when the host is down.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Result<R, LabError> {
        self.namespace()?.enter(f)
    }

    /// A command that will run on the host, where the names of the lab's hosts resolve
    /// (/etc/hosts). A crash of the host kills it.
    ///
    /// # Errors
    /// [`LabError::Down`] when the host is down.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        let namespace = self.namespace()?;
        let netns = namespace
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| LabError::system(format!("prepare a command on {}", self.name()), e))?;
        let mut command = Command::new(program);
        halfopen_sys::host::start_on_host(&mut command, netns, self.0.hosts.clone());
        Ok(command)
    }

    fn namespace(&self) -> Result<Namespace, LabError> {
        self.0.namespace().ok_or_else(|| LabError::Down {
            node: self.name().to_owned(),
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.name()).finish()
    }
}
