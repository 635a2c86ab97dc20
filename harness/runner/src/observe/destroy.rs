//! Destroys sockets from outside their process: SOCK_DESTROY. The tests of the
//! capture use it.

use super::netstat::Sockets;
use halfopen_lab::LabError;

impl Sockets {
    /// Destroys every TCP socket of the namespace, orphans, too: a call on one returns
    /// ECONNABORTED, and its peer gets an RST where one is due and can be delivered
    /// (`tcp_abort()`). Returns how many there were.
    ///
    /// # Errors
    /// Without CAP_NET_ADMIN in the namespace, and where the kernel lacks
    /// CONFIG_INET_DIAG_DESTROY.
    pub fn destroy_all(&mut self) -> Result<usize, LabError> {
        let mut destroyed = 0;
        for entry in self.entries()? {
            match self.diag.destroy(&entry) {
                Ok(()) => destroyed += 1,
                Err(e) => match e.raw_os_error() {
                    // It was closed meanwhile.
                    Some(libc::ENOENT | libc::ESTALE) => {}
                    Some(libc::EOPNOTSUPP) => {
                        return Err(LabError::Unsupported {
                            what: "destroy sockets".into(),
                            cure: "use a kernel with CONFIG_INET_DIAG_DESTROY".into(),
                        });
                    }
                    _ => {
                        return Err(LabError::netlink(
                            format!("destroy a socket of namespace {}", self.namespace),
                            e,
                        ));
                    }
                },
            }
        }
        Ok(destroyed)
    }
}
