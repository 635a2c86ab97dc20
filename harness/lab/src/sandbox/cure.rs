//! Which setting of this machine refuses user namespaces, and the cure.

use std::fs;

/// What to do on this machine where [`enter`](super::enter()) was refused: the sysctl
/// that forbids user namespaces to ordinary users, and its cure.
pub fn why_refused() -> String {
    let is =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "run it as root, or allow user namespaces: sysctl user.max_user_namespaces=15000".into()
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "run it as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1".into()
    } else if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        "run it as root, or allow user namespaces: \
         sysctl kernel.apparmor_restrict_unprivileged_userns=0"
            .into()
    } else {
        "run it as root; in a container, with --privileged (or --cap-add SYS_ADMIN --cap-add \
         NET_ADMIN and no seccomp profile that refuses unshare)"
            .into()
    }
}
