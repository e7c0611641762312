//! Whether an order that says it is of a runbook is what this host's own copy of it makes.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use protocol::runbook::Runbook;
use protocol::work::{OpsWork, RunbookUse};

use crate::config::exposure;

/// What is different from what this host's own copy of the runbook makes of the same values. The order's
/// word for what the runbook is counts for nothing.
pub(super) fn objection(used: &RunbookUse, ops: &OpsWork, dir: &Path) -> Option<String> {
    let name = used.name.escape_debug();
    let own = match own_copy(&used.name, dir) {
        Ok(Some(own)) => own,
        Ok(None) => {
            return Some(format!(
                "the runbook `{name}`, of which there is no copy here"
            ));
        }
        Err(why) => return Some(format!("the runbook `{name}`: {why}")),
    };
    match own.resolve(&used.parameters, ops.run_as.as_deref()) {
        Ok(same) if same == *ops => None,
        Ok(_) => Some(format!(
            "the runbook `{name}` as it was ordered: this host's copy is different"
        )),
        Err(error) => Some(format!("the runbook `{name}` as it was ordered: {error}")),
    }
}

/// The host's own, or else the shipped one.
pub(super) fn own_copy(name: &str, dir: &Path) -> Result<Option<Runbook>, String> {
    if Runbook::find(name).is_some()
        || !name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'-')
    {
        return Ok(Runbook::find(name));
    }
    let path = dir.join(format!("{name}.toml"));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    for about in [file.metadata(), fs::metadata(dir)] {
        let about = about.map_err(|error| error.to_string())?;
        if let Some(what) = exposure(&about) {
            return Err(format!("others could change {}: {what}", path.display()));
        }
    }
    let text = io::read_to_string(file).map_err(|error| error.to_string())?;
    Runbook::parse(name, &text)
        .map(Some)
        .map_err(|error| error.to_string())
}
