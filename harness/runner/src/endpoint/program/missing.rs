//! Looks for a program before anything is built for it.

use std::path::Path;

use halfopen_lab::LabError;
use halfopen_scenario::case::Program;

/// Where programs are looked for without a PATH: in a guest there is none.
pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Packages of Debian and Ubuntu by program, where the names differ.
const PACKAGES: [(&str, &str); 16] = [
    ("redis-cli", "redis-tools"),
    ("redis-benchmark", "redis-tools"),
    ("psql", "postgresql-client"),
    ("postgres", "postgresql"),
    ("initdb", "postgresql"),
    ("pg_ctl", "postgresql"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("ssh-keygen", "openssh-client"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("java", "default-jre-headless"),
    ("javac", "default-jdk-headless"),
    ("go", "golang-go"),
    ("nc", "netcat-openbsd"),
    ("node", "nodejs"),
];

/// Whether the programs of a lane are installed: a case whose programs are missing
/// is not run.
///
/// # Errors
/// A program is not found: where it was looked for, and the cure.
pub fn find(lane: &str, program: &Program) -> Result<(), LabError> {
    let path = match program.env.get("PATH") {
        Some(path) => path.clone(),
        None => std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned()),
    };
    let commands = program.prepare.iter().chain([&program.run]);
    for name in commands.filter_map(|command| command.first()) {
        // What `prepare` makes is not there yet; a relative path means its directory.
        if name.contains('/') && (!program.prepare.is_empty() || !name.starts_with('/')) {
            continue;
        }
        let found = match name.contains('/') {
            true => Path::new(name).exists(),
            false => path.split(':').any(|d| Path::new(d).join(name).exists()),
        };
        if !found {
            return Err(LabError::Unsupported {
                what: format!("run the lane {lane}: program not found: {name}"),
                cure: cure(name, &path),
            });
        }
    }
    Ok(())
}

fn cure(name: &str, path: &str) -> String {
    if name.contains('/') {
        return "install it, or correct its path".to_owned();
    }
    let known = PACKAGES.iter().find(|(program, _)| *program == name);
    let package = known.map_or(name, |(_, package)| package);
    format!("looked in {path}; install it (package {package}), or give its path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_a_program_is_named() {
        assert!(cure("redis-cli", "/bin").contains("package redis-tools"));
        assert!(cure("curl", "/bin:/usr/bin").contains("looked in /bin:/usr/bin"));
    }
}
