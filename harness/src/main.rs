//! The `halfopen` command.
fn main() {
    match halfopen::sandbox::enter() {
        Ok(p) => println!("{} pid {} {:?}", p.name(), std::process::id(), std::fs::read_dir("/proc/self/task").unwrap().count()),
        Err(e) => { println!("{e}"); std::process::exit(3) }
    }
    std::process::Command::new("sh").arg("-c").arg("ps ax; ip a; sleep 300 & sleep 1").status().unwrap();
    std::process::exit(7);
}
