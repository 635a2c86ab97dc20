//! What a lab and the handles of a host share.

use std::net::IpAddr;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use crate::namespace::Namespace;

/// A host's name, and the namespace it has now.
pub(crate) struct HostState {
    pub(super) name: String,
    pub(super) address: IpAddr,
    /// The content of /etc/hosts on every host of the lab.
    pub(super) hosts: Vec<u8>,
    /// None: the host is down.
    namespace: Mutex<Option<Namespace>>,
    /// While its runtime is stopped: what it waits for.
    frozen: Mutex<Option<Sender<()>>>,
    #[cfg(feature = "tokio")]
    pub(super) runtime: Mutex<Option<super::runtime::HostRuntime>>,
}

impl HostState {
    pub(crate) fn new(name: &str, address: IpAddr, hosts: Vec<u8>, namespace: Namespace) -> Self {
        HostState {
            name: name.to_owned(),
            address,
            hosts,
            namespace: Mutex::new(Some(namespace)),
            frozen: Mutex::new(None),
            #[cfg(feature = "tokio")]
            runtime: Mutex::new(None),
        }
    }

    pub(super) fn namespace(&self) -> Option<Namespace> {
        let namespace = self.namespace.lock();
        namespace.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host has booted.
    pub(crate) fn boot(&self, namespace: Namespace) {
        let mut now = self
            .namespace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *now = Some(namespace);
    }

    /// Stops the tasks of the host's runtime, or lets them go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.set_frozen(None);
        #[cfg(feature = "tokio")]
        if frozen {
            self.set_frozen(self.stop_runtime());
        }
        #[cfg(not(feature = "tokio"))]
        let _ = frozen;
    }

    fn set_frozen(&self, until: Option<Sender<()>>) {
        *self.frozen.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// The host goes down: ends its tasks. Sockets and processes end by
    /// [`HostState::end_sockets_and_processes`], because they may belong to
    /// no handle.
    pub(crate) fn go_down(&self) {
        let mut now = self
            .namespace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *now = None;
        drop(now);
        self.set_frozen(None);
        #[cfg(feature = "tokio")]
        self.end_runtime();
    }
}

/// The lab has ended, or its last handle: tasks that it left must not be waited for
/// here, where another runtime may be dropping a handle.
#[cfg(feature = "tokio")]
impl Drop for HostState {
    fn drop(&mut self) {
        let runtime = self
            .runtime
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }
}
