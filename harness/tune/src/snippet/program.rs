//! Configuration of programs.

use std::fmt::Write as _;

use super::{no_user_timeout, rto_max_line, user_timeout};
use crate::{Keepalive, Settings, Without};

pub(super) fn libpq(settings: &Settings) -> String {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = settings.keepalive
    {
        client.push(format!(
            "keepalives=1 keepalives_idle={idle} keepalives_interval={interval} keepalives_count={count}"
        ));
        server.push(format!("tcp_keepalives_idle = {idle}"));
        server.push(format!("tcp_keepalives_interval = {interval}"));
        server.push(format!("tcp_keepalives_count = {count}"));
    }
    if let Some(ms) = user_timeout(settings) {
        client.push(format!("tcp_user_timeout={ms}"));
        server.push(format!("tcp_user_timeout = {ms}"));
    }
    let mut text = format!(
        "# connection string (PostgreSQL 12 for its last word)\n{}\n\
         # the server's side of it, postgresql.conf\n{}\n",
        client.join(" "),
        server.join("\n")
    );
    rto_max_line(settings, &mut text, "#");
    text
}

pub(super) fn redis(settings: &Settings, without: &Without) -> String {
    let mut text = String::new();
    if settings.keepalive.is_some() {
        match without.thirds {
            Some(idle) => {
                let _ = writeln!(
                    text,
                    "# redis.conf: first probe after {idle} s, then 3 probes, {} s apart\n\
                     tcp-keepalive {idle}",
                    (idle / 3).max(1)
                );
            }
            None => text.push_str(
                "# no tcp-keepalive keeps both promises: Redis always sends 3 probes, a third of \
                 it apart\n",
            ),
        }
    }
    if settings.user_timeout.is_some() {
        no_user_timeout(&mut text, "# The server", without, "#");
        if let Some(ms) = user_timeout(settings) {
            let _ = writeln!(
                text,
                "# A client by hiredis (1.1): redisSetTcpUserTimeout(context, {ms})"
            );
        }
    }
    rto_max_line(settings, &mut text, "#");
    text
}

pub(super) fn nginx(settings: &Settings, without: &Without) -> String {
    let mut text = String::new();
    if settings.keepalive.is_some() {
        match without.keepalive {
            Some(Keepalive {
                idle,
                interval,
                count,
            }) => {
                let _ = writeln!(
                    text,
                    "listen 443 ssl so_keepalive={idle}s:{interval}s:{count};\n\
                     proxy_socket_keepalive on;  # upstreams: the values are the sysctls' \
                     (net.ipv4.tcp_keepalive_*)"
                );
            }
            None => {
                text.push_str("# no so_keepalive keeps both promises without TCP_USER_TIMEOUT\n")
            }
        }
    }
    if settings.user_timeout.is_some() {
        no_user_timeout(&mut text, "# nginx", without, "#");
    }
    rto_max_line(settings, &mut text, "#");
    text
}
