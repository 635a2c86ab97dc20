//! Reads lines of the kernel's trace (Documentation/trace/ftrace.rst, "Output format").

use std::collections::BTreeMap;
use std::net::IpAddr;

use halfopen_outcome::record::KernelEvent;
use nix::errno::Errno;

/// Reasons of kfree_skb() that say nothing: an skb that was used up, or whose dropping
/// nobody gives a reason for (include/net/dropreason-core.h).
const NO_REASON: [&str; 3] = ["NOT_SPECIFIED", "CONSUMED", "NOT_DROPPED_YET"];

/// The event of a line such as
/// `curl-7 [000] ..s. 12.345678: tcp_retransmit_skb: family=AF_INET sport=... `, with its
/// time from `t0_ns`. None: a comment, something older, or an event that says nothing.
pub(super) fn event(
    line: &str,
    node_of: &BTreeMap<IpAddr, String>,
    t0_ns: i64,
) -> Option<KernelEvent> {
    let (head, rest) = line.split_once(": ")?;
    let (event, fields) = rest.split_once(": ")?;
    let at_ns = nanoseconds(head.split_whitespace().last()?)? - t0_ns;
    let value = |key: &str| {
        let mut fields = fields.split_whitespace();
        fields.find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
    };
    let (local, what) = match event {
        "inet_sk_error_report" => {
            let error: i32 = value("error")?.parse().ok()?;
            (address(value), format!("{:?}", Errno::from_raw(error)))
        }
        "tcp_retransmit_skb" | "tcp_receive_reset" => (address(value), String::new()),
        // From 6.10 on it says why, and the addresses in another way.
        "tcp_send_reset" => {
            let local = value("src").and_then(of_socket).or_else(|| address(value));
            (local, value("reason").unwrap_or_default().to_owned())
        }
        "kfree_skb" => {
            let (_, reason) = fields.split_once("reason: ")?;
            if NO_REASON.contains(&reason.trim()) {
                return None;
            }
            let function = value("location").filter(|at| !at.starts_with("0"));
            let function = function.map(|at| at.split('+').next().unwrap_or(at));
            let within = function.map_or(String::new(), |at| format!(" in {at}()"));
            (None, format!("{}{within}", reason.trim()))
        }
        _ => return None,
    };
    let host = local.and_then(|ip| node_of.get(&ip).cloned());
    (at_ns >= 0 && (host.is_some() || event == "kfree_skb")).then(|| KernelEvent {
        at_ns,
        host,
        event: event.to_owned(),
        what,
    })
}

/// `12.345678`, seconds, in nanoseconds.
fn nanoseconds(seconds: &str) -> Option<i64> {
    let (whole, micros) = seconds.split_once('.')?;
    let (whole, micros): (i64, i64) = (whole.parse().ok()?, micros.parse().ok()?);
    Some((whole * 1_000_000 + micros) * 1000)
}

/// The socket's own address: `saddrv6` has IPv4's, too (::ffff:10.77.1.1).
fn address<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<IpAddr> {
    let text = value("saddrv6").or_else(|| value("saddr"))?;
    let ip: IpAddr = text.parse().ok()?;
    Some(ip.to_canonical())
}

/// `10.77.1.1:7000` or `[fd77::1]:7000`.
fn of_socket(text: &str) -> Option<IpAddr> {
    let address: std::net::SocketAddr = text.parse().ok()?;
    Some(address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(i64, Option<String>, String)> {
        let node_of = BTreeMap::from([([10, 77, 1, 1].into(), "client".to_owned())]);
        let event = event(line, &node_of, 12_000_000_000)?;
        Some((event.at_ns, event.host, event.what))
    }

    #[test]
    fn an_error_of_a_socket() {
        let line = "          <idle>-0       [000] ..s2.    12.345678: inet_sk_error_report: family=AF_INET protocol=IPPROTO_TCP sport=40000 dport=7000 saddr=10.77.1.1 daddr=10.77.1.2 saddrv6=::ffff:10.77.1.1 daddrv6=::ffff:10.77.1.2 error=110";
        let client = Some("client".to_owned());
        assert_eq!(read(line), Some((345_678_000, client, "ETIMEDOUT".into())));
        assert_eq!(read(&line.replace("12.345678", "11.999999")), None);
        assert_eq!(
            read(
                &line
                    .replace("10.77.1.1 ", "10.88.1.1 ")
                    .replace(":10.77.1.1", ":10.88.1.1")
            ),
            None
        );
        assert_eq!(read("# tracer: nop"), None);
    }

    #[test]
    fn a_reset_in_the_words_of_6_12() {
        let line = "  x-7 [000] ..s2.    13.000000: tcp_send_reset: skbaddr=0000 skaddr=0000 src=10.77.1.1:7000 dest=10.77.1.2:40000 state=TCP_CLOSE reason=NO_SOCKET";
        let client = Some("client".to_owned());
        assert_eq!(
            read(line),
            Some((1_000_000_000, client, "NO_SOCKET".into()))
        );
    }

    #[test]
    fn a_drop_with_a_reason() {
        let line = "  x-7 [000] ..s2.    13.000000: kfree_skb: skbaddr=0000 rx_sk=0000 protocol=2048 location=nf_hook_slow+0x95/0xf0 reason: NETFILTER_DROP";
        let what = "NETFILTER_DROP in nf_hook_slow()".to_owned();
        assert_eq!(read(line), Some((1_000_000_000, None, what)));
        assert_eq!(read(&line.replace("NETFILTER_DROP", "NOT_SPECIFIED")), None);
        // 5.10 says none.
        assert_eq!(read(&line.replace(" reason: NETFILTER_DROP", "")), None);
    }
}
