//! Runs a command and turns its result into an exit code.
//!
//! An error is printed once, with its whole chain of causes.

use std::process::ExitCode;

use clap::Parser;
use pegel::cli::{Cli, Exit, exit_of};

fn main() -> ExitCode {
    let exit = Cli::parse().run().unwrap_or_else(|error| {
        anstream::eprintln!("pegel: {error:#}");
        exit_of(&error)
    });
    ExitCode::from(exit as u8)
}

const _: () = assert!(
    Exit::NotReady as u8 == 4,
    "exit codes are part of the contract"
);
