//! `sickbay explain`: what a cause or fix code means. The catalogue is built in.

use std::fmt::Write;

use model::{Cause, Fix};
use serde_json::{Value, json};

use crate::exit::{Exit, Usage};
use crate::ui::Ui;

/// Arguments of `sickbay explain`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The code, such as 2401
    code: u16,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<Exit> {
    let (value, text) = match (Cause::find(args.code), Fix::find(args.code)) {
        (Some(cause), _) => cause_page(cause),
        (None, Some(fix)) => fix_page(fix),
        (None, None) if args.code == model::cause::FIX_RUN_BY_HAND => (
            json!({"Code": args.code, "Kind": "fix", "Sentence": BY_HAND}),
            format!("{} (fix)\n{BY_HAND}\n", args.code),
        ),
        (None, None) => {
            let why = format!("{} is no code of a cause or a fix", args.code);
            return Err(Usage(why).into());
        }
    };
    ui.object(&value, "Code", || text)?;
    Ok(Exit::Success)
}

const BY_HAND: &str = "Run the given command by hand on the host: its agent is not connected.";

fn cause_page(cause: Cause) -> (Value, String) {
    let fixes: Vec<Value> = cause
        .fixes()
        .iter()
        .map(|it| json!({"Code": it.code(), "Sentence": it.sentence()}))
        .collect();
    let value = json!({
        "Code": cause.code(), "Kind": "cause", "Name": cause.name(), "Severity": cause.severity().wire(),
        "Sentence": cause.sentence(), "Verify": cause.verify(), "Fixes": fixes,
    });
    let mut text = format!(
        "{} {} (cause, {})\n{}\n\nSee it on the host:\n  {}\n\nWhat to do:\n",
        cause.code(),
        cause.name(),
        cause.severity().wire(),
        cause.sentence(),
        cause.verify()
    );
    for fix in cause.fixes() {
        let _ = writeln!(text, "  {}  {}", fix.code(), fix.sentence());
    }
    (value, text)
}

fn fix_page(fix: Fix) -> (Value, String) {
    let causes: Vec<Cause> = Cause::ALL
        .iter()
        .copied()
        .filter(|it| it.fixes().contains(&fix))
        .collect();
    let codes: Vec<u16> = causes.iter().map(|it| it.code()).collect();
    let value =
        json!({"Code": fix.code(), "Kind": "fix", "Sentence": fix.sentence(), "Causes": codes});
    let mut text = format!("{} (fix)\n{}\n\nMends:\n", fix.code(), fix.sentence());
    for cause in causes {
        let _ = writeln!(text, "  {}  {}", cause.code(), cause.sentence());
    }
    (value, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_that_says_what_to_do() {
        for cause in Cause::ALL {
            let (value, text) = cause_page(*cause);
            assert!(text.contains(cause.verify()), "{text}");
            assert!(!value["Fixes"].as_array().unwrap().is_empty(), "{text}");
        }
        for fix in Fix::ALL {
            assert!(fix_page(*fix).1.contains(fix.sentence()));
        }
    }
}
