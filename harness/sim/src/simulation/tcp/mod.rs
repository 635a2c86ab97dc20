//! TCP, by the functions of net/ipv4/tcp*.c. A function's comment names the kernel's
//! function and what it leaves out.

mod ack;
mod calls;
mod close;
mod delayed_ack;
mod err;
mod input;
mod listen;
mod output;
mod retransmit;
mod rtt;
mod sock;
mod timer;

pub(super) use calls::{PollMask, Recv, Send};
pub(super) use sock::{TcpSock, TcpState};
