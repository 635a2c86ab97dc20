//! The command line, by the real program: what it prints, and its exit codes.
//!
//! Needs the programs (`cargo build -p halfopen -p halfopen-fixtures`), and
//! root or user namespaces where cases are run.

mod action;
mod baseline;
mod begin;
mod book;
mod grid;
mod impact;
mod library;
mod machine;
mod newcomer;
mod place;
mod predict;
mod results;
mod tune;
mod words;
mod words_of_reports;
mod wrong;
