//! Everything that this program writes to a person: data to standard output, talk to standard error.
//!
//! A reader that has gone away (`| head`) is no error.

use std::io::{self, IsTerminal, Write};

use tracing::level_filters::LevelFilter;

/// Writes what was asked for.
pub(super) fn write(text: &str) {
    writeln!(io::stdout(), "{text}").ok();
}

/// Says something else.
pub(super) fn say(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}

/// Whether what is written there may be coloured: a terminal, and nobody said no (no-color.org).
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    stream.is_terminal() && !refused
}

/// Sends the log to standard error, at the level of `SICKBAY_LOG`, or else `usual`.
pub(super) fn start_log(usual: LevelFilter) {
    let level = match std::env::var("SICKBAY_LOG").as_deref() {
        Ok("error") => LevelFilter::ERROR,
        Ok("warn") => LevelFilter::WARN,
        Ok("info") => LevelFilter::INFO,
        Ok("debug") => LevelFilter::DEBUG,
        _ => usual,
    };
    // A log that was started by the program around us stays.
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(is_coloured(&io::stderr()))
        .with_target(false)
        // A log that cannot be written, as on a full disk, must not end what writes it.
        .log_internal_errors(false)
        .try_init()
        .ok();
}
