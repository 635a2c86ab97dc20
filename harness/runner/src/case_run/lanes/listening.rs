//! Whether a host has a listening socket, for programs whose calls are not seen.

/// TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp has it.
const LISTEN: &str = "0A";

/// Whether somebody listens on a TCP port, or on any, in the network namespace of a
/// process.
pub(super) fn is_there(pid: i32, port: Option<u16>) -> bool {
    ["tcp", "tcp6"].iter().any(|family| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{family}"));
        has(&table.unwrap_or_default(), port)
    })
}

/// The same of a table: `0: 00000000:1B58 00000000:0000 0A ...` (proc_net_tcp in the
/// kernel's documentation).
fn has(table: &str, port: Option<u16>) -> bool {
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|local| local.rsplit(':').next());
        let local = local.and_then(|hex| u16::from_str_radix(hex, 16).ok());
        let listens = fields.nth(1) == Some(LISTEN);
        listens && local.is_some_and(|local| port.is_none_or(|port| port == local))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
            0: 0100007F:1B58 00000000:0000 0A 00000000:00000000\n   \
            1: 0100007F:0050 0100007F:9C40 01 00000000:00000000\n";
        assert!(has(table, Some(7000)) && has(table, None));
        assert!(!has(table, Some(80)), "it is connected, not listening");
        assert!(!has("", None));
    }
}
