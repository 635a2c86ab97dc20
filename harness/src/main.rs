//! The `halfopen` command.

fn main() -> std::process::ExitCode {
    halfopen::cli::main()
}
