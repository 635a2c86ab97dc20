//! The round trip and the RTO: tcp_rtt_estimator(), __tcp_set_rto() in
//! net/ipv4/tcp_input.c.

use super::super::clock::{Ns, ns};
use super::super::{Sim, SockId};

impl Sim<'_> {
    fn rto_min_us(&self, sock: SockId) -> u64 {
        ns(self.sysctls(sock).rto_min) / 1000
    }

    /// tcp_rto_max(), in ticks.
    pub(crate) fn rto_max(&self, sock: SockId) -> u64 {
        self.clock.ticks(ns(self.sysctls(sock).rto_max))
    }

    /// tcp_rtt_estimator(), tcp_set_rto(): a measured round trip.
    pub(crate) fn rtt_measured(&mut self, sock: SockId, rtt: Ns) {
        let least = self.rto_min_us(sock);
        let sk = &mut self.socks[sock];
        let mut m = (rtt / 1000).max(1) as i64;
        if sk.srtt_us == 0 {
            sk.srtt_us = (m as u64) << 3;
            sk.mdev_us = (m as u64) << 1;
            sk.rttvar_us = sk.mdev_us.max(least);
            sk.mdev_max_us = sk.rttvar_us;
            sk.rtt_seq = sk.snd_nxt;
        } else {
            m -= (sk.srtt_us >> 3) as i64;
            sk.srtt_us = (sk.srtt_us as i64 + m).max(1) as u64;
            if m < 0 {
                m = -m - (sk.mdev_us >> 2) as i64;
                if m > 0 {
                    m >>= 3;
                }
            } else {
                m -= (sk.mdev_us >> 2) as i64;
            }
            sk.mdev_us = (sk.mdev_us as i64 + m).max(0) as u64;
            if sk.mdev_us > sk.mdev_max_us {
                sk.mdev_max_us = sk.mdev_us;
                sk.rttvar_us = sk.rttvar_us.max(sk.mdev_max_us);
            }
            if sk.snd_una > sk.rtt_seq {
                if sk.mdev_max_us < sk.rttvar_us {
                    sk.rttvar_us -= (sk.rttvar_us - sk.mdev_max_us) >> 2;
                }
                sk.rtt_seq = sk.snd_nxt;
                sk.mdev_max_us = least;
            }
        }
        self.socks[sock].rto = self.set_rto(sock);
        self.socks[sock].backoff = 0;
    }

    /// __tcp_set_rto(), bounded.
    pub(crate) fn set_rto(&self, sock: SockId) -> u64 {
        let sk = &self.socks[sock];
        let rto = self.clock.ticks(((sk.srtt_us >> 3) + sk.rttvar_us) * 1000);
        rto.min(self.rto_max(sock))
    }
}
