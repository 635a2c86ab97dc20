//! A question about one connection, written as a scenario: there is one way to describe a
//! case to the predictor.

/// A client that is connected, has exchanged a word with its server, and reads. What is
/// None is as usual.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Keepalive: idle time, interval and count, as in files.
    pub keepalive: Option<[String; 3]>,
    /// TCP_USER_TIMEOUT, as in files.
    pub user_timeout: Option<String>,
    /// What happens.
    pub fault: Fault,
    /// What the client has sent that is not acknowledged.
    pub in_flight: InFlight,
    /// The network's name: `link`, unless the fault needs a router.
    pub network: Option<String>,
    /// `ipv4`, or `ipv6`.
    pub family: Option<String>,
    /// How long before the fault the last segment was received: 1 ms.
    pub idle: Option<String>,
    /// Sysctls of the client's host.
    pub sysctls: Vec<(String, String)>,
}

/// What happens to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// The peer's host loses power.
    #[default]
    Crash,
    /// A packet filter on the way swallows everything.
    Silence,
    /// The peer's host loses power and is back after ten seconds.
    Reboot,
    /// The peer's process is killed.
    Kill,
    /// The peer's process is stopped.
    Freeze,
    /// The own host's qdisc drops everything.
    OwnQdisc,
    /// The own host's firewall drops everything.
    OwnFirewall,
    /// The own host loses its routes.
    OwnRoute,
    /// A router answers network unreachable.
    NetUnreachable,
    /// A router answers host unreachable.
    HostUnreachable,
    /// Something on the way answers with RST.
    Reset,
}

/// What the client has sent that is not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InFlight {
    /// Nothing: the connection is idle.
    #[default]
    None,
    /// Data that is written after the fault.
    After,
    /// Data that was written just before the fault.
    Before,
}

impl Question {
    /// The scenario: YAML, with what comes from each field on a line of its own.
    pub fn scenario(&self) -> String {
        let mut detector = String::new();
        if let Some([idle, interval, count]) = &self.keepalive {
            detector.push_str(&format!(
                "\n    keepalive: {{ idle: {idle}, interval: {interval}, count: {count} }}"
            ));
        }
        if let Some(limit) = &self.user_timeout {
            detector.push_str(&format!("\n    user_timeout: {limit}"));
        }
        if detector.is_empty() {
            detector.push_str(" {}");
        }
        let fault = self.fault;
        let network = match &self.network {
            Some(name) => name,
            None if fault.is_a_routers() => "routed",
            None => "link",
        };
        let family = self.family.as_deref().unwrap_or("ipv4");
        let at = self.idle.as_deref().unwrap_or("1ms");
        let sysctls: Vec<String> = self
            .sysctls
            .iter()
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        let sysctls = match sysctls.is_empty() {
            true => String::new(),
            false => format!("\n    sysctls: {{ client: {{ {} }} }}", sysctls.join(", ")),
        };
        let (events_before, steps) = match self.in_flight {
            InFlight::None => (String::new(), ""),
            // The mark of a reboot is reached when the host is back. This one is reached
            // while it is down.
            InFlight::After if fault == Fault::Reboot => (
                format!(
                    "{{ at: {at}, netstat: , name: begun }}, \
                     {{ after: begun, by: 1ms, netstat: , name: down }}, "
                ),
                "{ wait_for: down }, { write: world }, ",
            ),
            InFlight::After => (String::new(), "{ wait_for: fault }, { write: world }, "),
            // The first transmission, and no other, is lost on the wire just before the
            // fault.
            InFlight::Before => (
                format!(
                    "{{ at: {at}, drop: {{ from: client, to: server, count: 1 }}, name: lost }}, "
                ),
                "{ wait_for: lost }, { write: world }, ",
            ),
        };
        let when = match self.in_flight {
            InFlight::Before => "after: lost, by: 1ms".to_owned(),
            _ => format!("at: {at}"),
        };
        let fault = fault.action();
        format!(
            "version: 1
detectors:
  asked:{detector}
scenarios:
  question:
    about: What happens?
    network: {network}
    matrix: {{ family: [{family}] }}
    server: [listen, accept, echo]
    client: {{ detector: asked, steps: [connect, {{ exchange: hello }}, {steps}read] }}
    faults: [{events_before}{{ {when}, {fault}, name: fault }}]
    watch: [client]
    give_up: 24h{sysctls}
"
        )
    }
}

impl Fault {
    fn is_a_routers(self) -> bool {
        matches!(
            self,
            Fault::NetUnreachable | Fault::HostUnreachable | Fault::Reset
        )
    }

    fn action(self) -> &'static str {
        match self {
            Fault::Crash => "crash: server",
            Fault::Silence => "drop: { from: client, to: server }",
            Fault::Reboot => "reboot: { host: server, down_for: 10s }",
            Fault::Kill => "kill: server",
            Fault::Freeze => "freeze: server",
            Fault::OwnQdisc => "drop: { from: client, to: server, at: sender, by: tc }",
            Fault::OwnFirewall => "drop: { from: client, to: server, at: sender, by: nft }",
            Fault::OwnRoute => "route: { host: client, change: removed }",
            Fault::NetUnreachable => "reject: { to: server, at: router, with: net-unreachable }",
            Fault::HostUnreachable => "reject: { to: server, at: router, with: host-unreachable }",
            Fault::Reset => "reject: { to: server, at: router, with: tcp-reset }",
        }
    }
}
