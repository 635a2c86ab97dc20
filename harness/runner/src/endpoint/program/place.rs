//! Where a program runs: a private /run with a directory of its own, an /etc/hosts
//! that names the lab's hosts, its user, its environment.
//!
//! All of it is in a mount namespace of the tracer's and goes with it, however it
//! ends: nothing is left behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, User as Account};

use super::super::protocol::Plan;
use halfopen_scenario::case::Program;
use halfopen_trace::{Program as Traced, User};

/// The last user that a namespace with all users of a machine maps.
const NOBODY: u32 = 65534;

/// Below the private /run.
const DIRECTORY: &str = "/run/halfopen";

pub(super) struct Place<'a> {
    addresses: &'a BTreeMap<String, IpAddr>,
    cwd: PathBuf,
    user: User,
    env: Vec<(String, String)>,
    /// Few users are mapped: without root's privileges one, so that a program that asks
    /// for another one is refused.
    pub(super) few_users: bool,
}

impl<'a> Place<'a> {
    /// Makes it, for this process and what it starts.
    pub(super) fn make(plan: &'a Plan, program: &Program) -> Result<Self, String> {
        make_mounts(plan)?;
        let user = match &program.user {
            None => User::Same,
            Some(name) => user(name)?,
        };
        let own = Path::new(DIRECTORY).join(&plan.lane.name);
        fs::create_dir_all(&own).map_err(|e| format!("cannot make {}: {e}", own.display()))?;
        if let User::Ids { uid, gid } = user {
            chown(&own, Some(uid), Some(gid))
                .map_err(|e| format!("cannot give {} to user {uid}: {e}", own.display()))?;
        }
        let cwd = program.cwd.as_ref().map_or(own.clone(), PathBuf::from);
        let mut place = Place {
            addresses: &plan.addresses,
            cwd,
            user,
            env: Vec::new(),
            few_users: !is_mapped(&uid_map(), NOBODY),
        };
        place.env = place.environment(program, &own);
        Ok(place)
    }

    /// A command in this place.
    pub(super) fn program(&self, command: &[String]) -> Result<Traced, String> {
        let mut traced = Traced::new(command.iter().map(|word| self.resolved(word)));
        traced.env = self.env.clone();
        traced.cwd = Some(self.cwd.clone());
        traced.user = self.user;
        Ok(traced)
    }

    /// The text with addresses for `${host}`.
    pub(super) fn resolved(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (host, address) in self.addresses {
            text = text.replace(&format!("${{{host}}}"), &address.to_string());
        }
        text
    }

    /// The caller's environment with the program's variables. Its home is its own
    /// directory, so that it neither reads nor writes what is the caller's.
    fn environment(&self, program: &Program, own: &Path) -> Vec<(String, String)> {
        let mut variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        variables
            .entry("PATH".to_owned())
            .or_insert_with(|| super::DEFAULT_PATH.to_owned());
        variables.insert("HOME".to_owned(), own.display().to_string());
        for (name, value) in &program.env {
            variables.insert(name.clone(), self.resolved(value));
        }
        variables.into_iter().collect()
    }
}

fn make_mounts(plan: &Plan) -> Result<(), String> {
    let none = None::<&str>;
    let failed = |what: &'static str| move |errno| format!("cannot {what}: {errno}");
    unshare(CloneFlags::CLONE_NEWNS).map_err(failed("make a mount namespace"))?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(failed("make its mounts private"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        flags,
        Some("mode=755"),
    )
    .map_err(failed("mount a private /run"))?;
    fs::create_dir_all(DIRECTORY).map_err(|e| format!("cannot make {DIRECTORY}: {e}"))?;
    let hosts = format!("{DIRECTORY}/hosts");
    fs::write(&hosts, hosts_file(&plan.addresses)).map_err(|e| format!("{hosts}: {e}"))?;
    mount(
        Some(hosts.as_str()),
        "/etc/hosts",
        none,
        MsFlags::MS_BIND,
        none,
    )
    .map_err(failed("mount its own /etc/hosts"))
}

fn hosts_file(addresses: &BTreeMap<String, IpAddr>) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for (host, address) in addresses {
        let _ = writeln!(text, "{address} {host}");
    }
    text
}

/// A user by name or number. Where no second user is mapped, without root's
/// privileges, the program is this one in a nested user namespace.
fn user(name: &str) -> Result<User, String> {
    let account = match name.parse() {
        Ok(uid) => Account::from_uid(Uid::from_raw(uid)).map(|found| {
            let gid = found.map_or(Gid::from_raw(uid), |account| account.gid);
            Some((uid, gid.as_raw()))
        }),
        Err(_) => Account::from_name(name)
            .map(|found| found.map(|account| (account.uid.as_raw(), account.gid.as_raw()))),
    };
    let (uid, gid) = account
        .map_err(|errno| format!("user {name}: {errno}"))?
        .ok_or_else(|| {
            format!("there is no user `{name}`; give one of /etc/passwd, or a number")
        })?;
    Ok(match is_mapped(&uid_map(), uid) {
        true => User::Ids { uid, gid },
        false => User::Nested { uid, gid },
    })
}

fn uid_map() -> String {
    fs::read_to_string("/proc/self/uid_map").unwrap_or_default()
}

/// Whether a user exists in a user namespace, by its uid_map.
fn is_mapped(map: &str, uid: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        matches!(numbers[..], [first, _, count]
            if (first..first + count).contains(&u64::from(uid)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_mapped_or_not() {
        let root = "         0          0 4294967295\n";
        let alone = "         0       1000          1\n";
        assert!(is_mapped(root, 33));
        assert!(is_mapped(alone, 0));
        assert!(!is_mapped(alone, 33));
    }
}
