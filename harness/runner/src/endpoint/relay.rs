//! The step `relay`: a proxy between two connections. `script` calls it.

use std::os::fd::AsFd;

use super::report::Site;
use super::script::{Flow, Script};
use super::socket_io::SocketIo;
use halfopen_scenario::case::Step;
use halfopen_sys::poll;

/// Bytes of one read().
const CHUNK: usize = 64 * 1024;

impl Script<'_> {
    /// Writes what comes from either connection to the other. An end of file is passed
    /// on by shutdown(SHUT_WR), as proxies do; an error ends the relay.
    pub(super) fn relay(&mut self, step: &Step, between: Option<&(String, String)>) -> Flow {
        let found = match between {
            Some((one, other)) => {
                [Some(one.as_str()), Some(other.as_str())].map(|name| self.sockets.find(name))
            }
            None => self.sockets.newest_two(),
        };
        let [Some(one), Some(other)] = found else {
            return Flow::End;
        };
        let mut ended = [false; 2];
        let mut buffer = vec![0; CHUNK];
        while ended != [true; 2] {
            let sockets = [one, other].map(|index| self.sockets.at(index));
            let ends = [0, 1].into_iter().filter(|end| !ended[*end]);
            let open: Vec<usize> = ends.collect();
            let on: Vec<_> = open
                .iter()
                .map(|end| (["one", "other"][*end], sockets[*end].as_fd(), poll::IN))
                .collect();
            let site = Site {
                conn: None,
                line: step.line,
            };
            let Ok(ready) = self.reporter.wait(site, &on, None) else {
                return Flow::Next;
            };
            for (end, _) in open.iter().zip(ready).filter(|(_, ready)| *ready) {
                let (from, to) = (sockets[*end], sockets[1 - *end]);
                let site = Site {
                    conn: from.name.as_deref(),
                    line: step.line,
                };
                match self.reporter.read(site, from.as_fd(), &mut buffer) {
                    Err(_) => return Flow::Next,
                    Ok(0) => {
                        ended[*end] = true;
                        let _ = self.reporter.half_close(to, step.line);
                    }
                    Ok(bytes) => {
                        let written = SocketIo {
                            reporter: &mut self.reporter,
                            detector: &self.plan.lane.detector,
                            socket: to,
                            line: step.line,
                        }
                        .write_all(&buffer[..bytes]);
                        if !written {
                            return Flow::Next;
                        }
                    }
                }
            }
        }
        Flow::Next
    }
}
