//! The `halfopen` command.

fn main() {
    halfopen::endpoint::serve_if_asked();
}
