//! Socket options in several languages.

use std::fmt::Write as _;

use super::{no_user_timeout, rto_max, rto_max_line, user_timeout};
use crate::{Keepalive, Settings, Without};

pub(super) fn c(settings: &Settings) -> String {
    let mut values = String::new();
    let mut calls = Vec::new();
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = settings.keepalive
    {
        let _ = writeln!(
            values,
            "    int on = 1, idle = {idle}, interval = {interval}, count = {count}; /* s, s, probes */"
        );
        calls.push("SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on");
        calls.push("IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle");
        calls.push("IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval");
        calls.push("IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count");
    }
    if let Some(ms) = user_timeout(settings) {
        let _ = writeln!(values, "    unsigned int user_timeout = {ms}; /* ms */");
        calls.push("IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout");
    }
    let mut define = "";
    if let Some(ms) = rto_max(settings) {
        let _ = writeln!(values, "    int rto_max = {ms}; /* ms, Linux 6.15 */");
        calls.push("IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max, sizeof rto_max");
        define = "#ifndef TCP_RTO_MAX_MS\n#define TCP_RTO_MAX_MS 44\n#endif\n";
    }
    let calls: Vec<_> = calls
        .into_iter()
        .map(|call| format!("setsockopt(fd, {call})"))
        .collect();
    format!(
        "#include <netinet/in.h>\n#include <netinet/tcp.h>\n#include <sys/socket.h>\n{define}
/* Before connect() or listen(), or later; 0, or -1 and errno. */
int notice_dead_peers(int fd)
{{
{values}    return {} ? -1 : 0;
}}
",
        calls.join("\n        || ")
    )
}

pub(super) fn rust(settings: &Settings) -> String {
    let mut body = String::new();
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = settings.keepalive
    {
        let _ = write!(
            body,
            "    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs({idle}))
        .with_interval(Duration::from_secs({interval}))
        .with_retries({count});
    socket.set_tcp_keepalive(&keepalive)?;
"
        );
    }
    if let Some(ms) = user_timeout(settings) {
        let _ = writeln!(
            body,
            "    socket.set_tcp_user_timeout(Some(Duration::from_millis({ms})))?;"
        );
    }
    rto_max_line(settings, &mut body, "    //");
    format!(
        "use std::{{io, net::TcpStream, time::Duration}};

fn notice_dead_peers(stream: &TcpStream) -> io::Result<()> {{
    let socket = socket2::SockRef::from(stream);
{body}    Ok(())
}}
"
    )
}

pub(super) fn go(settings: &Settings) -> String {
    let mut body = String::new();
    match settings.keepalive {
        Some(Keepalive {
            idle,
            interval,
            count,
        }) => {
            let _ = write!(
                body,
                "\tkeepalive := net.KeepAliveConfig{{
\t\tEnable: true, Idle: {idle} * time.Second, Interval: {interval} * time.Second, Count: {count},
\t}}
\tif err := conn.SetKeepAliveConfig(keepalive); err != nil {{
\t\treturn err
\t}}
"
            );
        }
        None => body.push_str(
            "\t// Go turns keepalive on by itself: net.KeepAliveConfig{Enable: false} leaves it off\n",
        ),
    }
    match user_timeout(settings) {
        Some(ms) => {
            let _ = write!(
                body,
                "\traw, err := conn.SyscallConn()
\tif err != nil {{
\t\treturn err
\t}}
\tvar failed error
\terr = raw.Control(func(fd uintptr) {{
\t\tfailed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, {ms})
\t}})
\treturn errors.Join(err, failed)
"
            );
        }
        None => body.push_str("\treturn nil\n"),
    }
    let mut text = format!("func noticeDeadPeers(conn *net.TCPConn) error {{\n{body}}}\n");
    rto_max_line(settings, &mut text, "//");
    text
}

pub(super) fn python(settings: &Settings) -> String {
    let mut text = String::from("import socket\n\ndef notice_dead_peers(sock):\n");
    let mut set = |level: &str, option: &str, value: u128| {
        let _ = writeln!(
            text,
            "    sock.setsockopt(socket.{level}, socket.{option}, {value})"
        );
    };
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = settings.keepalive
    {
        set("SOL_SOCKET", "SO_KEEPALIVE", 1);
        set("IPPROTO_TCP", "TCP_KEEPIDLE", idle.into());
        set("IPPROTO_TCP", "TCP_KEEPINTVL", interval.into());
        set("IPPROTO_TCP", "TCP_KEEPCNT", count.into());
    }
    if let Some(ms) = user_timeout(settings) {
        set("IPPROTO_TCP", "TCP_USER_TIMEOUT", ms);
    }
    if let Some(ms) = rto_max(settings) {
        let _ = writeln!(
            text,
            "    sock.setsockopt(socket.IPPROTO_TCP, 44, {ms})  # TCP_RTO_MAX_MS, Linux 6.15"
        );
    }
    text
}

pub(super) fn java(settings: &Settings, without: &Without) -> String {
    let mut text = String::new();
    let mut netty = String::new();
    let keepalive = settings.keepalive.map(|k| without.keepalive.unwrap_or(k));
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = keepalive
    {
        let _ = write!(
            text,
            "socket.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
socket.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, {idle});
socket.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, {interval});
socket.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, {count});
"
        );
    }
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = settings.keepalive
    {
        let _ = write!(
            netty,
            "bootstrap.option(ChannelOption.SO_KEEPALIVE, true)
    .option(EpollChannelOption.TCP_KEEPIDLE, {idle})
    .option(EpollChannelOption.TCP_KEEPINTVL, {interval})
    .option(EpollChannelOption.TCP_KEEPCNT, {count})
"
        );
    }
    if let Some(ms) = user_timeout(settings) {
        no_user_timeout(&mut text, "// The JDK", without, "//");
        let option = format!(".option(EpollChannelOption.TCP_USER_TIMEOUT, {ms});\n");
        let lead = if netty.is_empty() {
            "bootstrap"
        } else {
            "    "
        };
        let _ = write!(
            text,
            "// With Netty's native epoll transport:\n{netty}{lead}{option}"
        );
    }
    rto_max_line(settings, &mut text, "//");
    text
}
