//! The steps `beside`, a second thread of execution on the same sockets, and `set`,
//! options of a socket at any time. `script` calls them.

use nix::unistd::{ForkResult, pipe2};

use super::detector::set_option;
use super::report::Site;
use super::script::{Flow, Script};
use halfopen_scenario::case::{SocketOption, Step};

impl Script<'_> {
    /// Executes the steps in a child, which shares the descriptors: shutdown() by one
    /// acts for both, and a close() ends the connection once both have closed, as it does
    /// while another thread is in a call on the socket (fget() in the kernel).
    pub(super) fn beside(&mut self, step: &Step, steps: &[Step]) {
        // The child waits until its parent has reported it, as the children of `serve`.
        let gate = pipe2(nix::fcntl::OFlag::O_CLOEXEC);
        let site = Site {
            conn: None,
            line: step.line,
        };
        match self.reporter.fork(site) {
            Ok(ForkResult::Parent { child }) => {
                self.reporter.forked(child.as_raw());
                drop(gate);
            }
            Ok(ForkResult::Child) => {
                if let Ok((reader, writer)) = gate {
                    drop(writer);
                    let _ = nix::unistd::read(&reader, &mut [0]);
                }
                self.sockets.forked();
                let _ = self.run(steps);
                // Its sockets stay open, as those of a thread: until the lane ends.
                loop {
                    nix::unistd::pause();
                }
            }
            // It is in the report.
            Err(_) => {}
        }
    }

    /// setsockopt() for each option.
    pub(super) fn set_options(&mut self, step: &Step, options: &[SocketOption]) -> Flow {
        let Some(index) = self.sockets.find(step.conn.as_deref()) else {
            return Flow::End;
        };
        let socket = self.sockets.at(index);
        let site = Site {
            conn: socket.name.as_deref(),
            line: step.line,
        };
        for option in options {
            set_option(*option, &mut self.reporter, site, socket);
        }
        Flow::Next
    }
}
