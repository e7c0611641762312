//! The program `sickbay`: control plane, operator's command line, and, called by the name `sickbay-agent`, the agent.

mod cmd;
mod exit;
mod settings;
mod ui;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if is_agent(std::env::args_os().next().as_deref()) {
        return agent::cli::run_from(std::env::args_os());
    }
    cmd::main()
}

/// Whether the program was called by the agent's name, as through a link.
fn is_agent(name: Option<&OsStr>) -> bool {
    name.is_some_and(|it| Path::new(it).file_name() == Some(OsStr::new("sickbay-agent")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_which_program_it_is() {
        for (name, expected) in [
            ("sickbay-agent", true),
            ("/usr/bin/sickbay-agent", true),
            ("./sickbay", false),
            ("/opt/sickbay-agent/sickbay", false),
        ] {
            assert_eq!(is_agent(Some(OsStr::new(name))), expected, "{name}");
        }
        assert!(!is_agent(None));
    }
}
