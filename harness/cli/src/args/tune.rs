//! The arguments of `halfopen tune`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use halfopen_scenario::internal::scalar;
use halfopen_tune::snippet::Target;
use halfopen_tune::{Keepalive, Settings};

use super::Format;

/// The longest time that an argument may name.
const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) const HELP: &str = "\
Two promises, kept at once: a peer that vanishes (its host crashes, its cable is
cut) is noticed within --notice-within, and an outage of --ride-out, however it
falls, does not end the connection. A single lost probe never does.

While idle, keepalive decides; of all values that keep the promises those with
the fewest probes an hour are shown. While sending, keepalive is silent and
TCP_USER_TIMEOUT decides, at doubling distances: 10 s of it ride out an outage of
about 6 s. With --while both (the default) one set of values keeps both promises
in both states; note that a user timeout takes the place of TCP_KEEPCNT.
While idle, time counts from the crash; while sending, from the first write that
is not acknowledged.

Unreachables put the end of a user timeout off, by up to half of it: the kernel
takes a back-off back and waits on, past the limit. They come from the own host
once the entry of a dead neighbour has failed (8 s after the write, if nothing was
heard of it for a while; at once, if it was asked for before), and from routers;
--path says which of them have to be reckoned with. RSTs, and an own interface
that goes down, are not part of the promises.

With --middlebox-forgets keepalive's probes come before a NAT, a firewall or a load
balancer forgets an idle connection. --check searches nothing and says which of the
promises given values keep: --check idle=60s,interval=10s,count=3,user-timeout=30s
(what is left out is Linux's default; `rto-max` is TCP_RTO_MAX_MS).

Without --kernel and --hz the settings hold on Linux 5.10 and later at HZ 100,
250, 300 and 1000, whose timers are up to an eighth late. With --kernel 6.15 or
later TCP_RTO_MAX_MS is used where nothing else keeps the promises.

--verify runs the settings in a guest in virtual time, on the kernels given or
else on all that `halfopen kernels` shows: crashes and outages at several
moments, and a lost probe. When no settings exist, the two nearest are run, and
each breaks its promise.

Examples:
  halfopen tune --notice-within 30s --ride-out 10s
  halfopen tune --notice-within 2m --ride-out 15s --while idle --for nginx,redis
  halfopen tune --notice-within 30s --ride-out 10s --kernel 6.12 --hz 250 --verify
  halfopen tune --notice-within 5s --ride-out 10s          the proof that none exist
  halfopen tune --notice-within 10m --ride-out 10s --middlebox-forgets 350s
  halfopen tune --notice-within 30s --ride-out 10s --check idle=15s,interval=5s,count=3
  halfopen tune --notice-within 30s --ride-out 10s --format json | jq .found

Exit codes: 0 there are settings (and, with --verify, they keep the promises),
1 there are none, or a measurement broke a promise, 2 wrong input, 3 this machine
cannot run guests, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// A vanished peer is noticed within this: 30s, 1500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = promise)]
    pub(crate) notice_within: Duration,
    /// An outage this long is ridden out; 0s for none
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) ride_out: Duration,
    /// A middlebox (NAT, firewall, load balancer) forgets a connection without packets
    /// after this: keepalive has to come sooner
    #[arg(long, value_name = "TIME", value_parser = forgets)]
    pub(crate) middlebox_forgets: Option<Duration>,
    /// Search nothing: say which of the promises these values keep
    #[arg(long, value_name = "SETTINGS", value_parser = settings, conflicts_with = "verify")]
    pub(crate) check: Option<Settings>,
    /// What the connection does meanwhile
    #[arg(long = "while", value_enum, default_value_t = WhileName::Both, value_name = "STATE")]
    pub(crate) when: WhileName,
    /// The longest round trip of the path; shorter ones are covered
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = trip)]
    pub(crate) round_trip: Duration,
    /// What becomes of packets to a peer that has vanished
    #[arg(long, value_enum, default_value_t = PathName::Neighbour, value_name = "FATE")]
    pub(crate) path: PathName,
    /// A kernel's version, or as for `run`; may be given several times
    /// [default: all versions]
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Vec<String>,
    /// Ticks a second of the kernels; may be given several times
    /// [default: 100, 250, 300 and 1000]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(24..=10_000))]
    pub(crate) hz: Vec<u32>,
    /// Where the settings are to be written down, separated by commas; or `all`
    /// [default: sysctl,c; all with --format json]
    #[arg(long = "for", value_name = "WHERE", value_enum, value_delimiter = ',')]
    pub(crate) targets: Vec<TargetName>,
    /// Measure in virtual time that the promises are kept
    #[arg(long)]
    pub(crate) verify: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhileName {
    /// Nothing is under way
    Idle,
    /// Data is under way that is not acknowledged
    Sending,
    /// Now the one, now the other
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PathName {
    /// Nobody hears of them; the next hop, a router, goes on answering ARP
    Silent,
    /// The peer may be the next hop, whose ARP or NDP entry fails in the end
    Neighbour,
    /// Routers may answer them with ICMP unreachables
    Unreachable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    Sysctl,
    C,
    Rust,
    Go,
    Python,
    Java,
    Libpq,
    Redis,
    Nginx,
    All,
}

impl TargetName {
    pub(crate) fn targets(self) -> Vec<Target> {
        vec![match self {
            TargetName::Sysctl => Target::Sysctl,
            TargetName::C => Target::C,
            TargetName::Rust => Target::Rust,
            TargetName::Go => Target::Go,
            TargetName::Python => Target::Python,
            TargetName::Java => Target::Java,
            TargetName::Libpq => Target::Libpq,
            TargetName::Redis => Target::Redis,
            TargetName::Nginx => Target::Nginx,
            TargetName::All => return Target::ALL.to_vec(),
        }]
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = scalar::duration(text).map_err(|refusal| match refusal.help {
        Some(help) => format!("{}; {help}", refusal.message),
        None => format!("{}; write 30s, 1500ms or 2m", refusal.message),
    })?;
    if time > LONGEST {
        return Err("at most 24h".into());
    }
    Ok(time)
}

fn promise(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("nothing is noticed in no time; write 30s, 1500ms or 2m".into()),
        time => Ok(time),
    }
}

fn forgets(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time < Duration::from_secs(4) => {
            Err("at least 4s: keepalive waits whole seconds".into())
        }
        time => Ok(time),
    }
}

/// `idle=60s,interval=10s,count=3,user-timeout=30s`; keepalive is on when one of its
/// values is given.
fn settings(text: &str) -> Result<Settings, String> {
    let mut keepalive = None;
    let mut settings = Settings {
        keepalive: None,
        user_timeout: None,
        rto_max: None,
    };
    let mut wrong = Vec::new();
    for part in text.split(',') {
        wrong.extend(setting(part, &mut keepalive, &mut settings).err());
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    settings.keepalive = keepalive;
    Ok(settings)
}

/// One `KEY=VALUE` of [`settings`].
fn setting(
    part: &str,
    keepalive: &mut Option<Keepalive>,
    settings: &mut Settings,
) -> Result<(), String> {
    let (key, value) = part
        .split_once('=')
        .ok_or_else(|| format!("`{part}` has no value; write {part}=30s"))?;
    let seconds = || match promise(value)? {
        time if time.subsec_nanos() != 0 || time.as_secs() > 32_767 => {
            Err(format!("{key} is whole seconds up to 32767s"))
        }
        time => Ok(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
    };
    // Linux's defaults (tcp(7)).
    let defaults = Keepalive {
        idle: 7200,
        interval: 75,
        count: 9,
    };
    match key.trim() {
        "idle" => keepalive.get_or_insert(defaults).idle = seconds()?,
        "interval" => keepalive.get_or_insert(defaults).interval = seconds()?,
        "count" => {
            keepalive.get_or_insert(defaults).count =
                scalar::whole(value, 1, 127).map_err(|refusal| refusal.message)?;
        }
        "user-timeout" => settings.user_timeout = Some(promise(value)?),
        "rto-max" => settings.rto_max = Some(promise(value)?),
        other => {
            return Err(format!(
                "unknown `{other}`; write idle, interval, count, user-timeout or rto-max"
            ));
        }
    }
    Ok(())
}

fn trip(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time > Duration::from_secs(2) => {
            Err("at most 2s; longer round trips are not modelled".into())
        }
        time => Ok(time),
    }
}
