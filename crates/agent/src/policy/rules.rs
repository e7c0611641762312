//! The lines of a policy, so that a refusal can show the rule.

use std::path::{Path, PathBuf};

/// As much of a rule as a refusal shows, in characters.
const RULE_CHARS_MAX: usize = 120;

/// The lines of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    path: PathBuf,
    /// Key, number from 1, text.
    lines: Vec<(String, usize, String)>,
}

impl Rules {
    pub(super) fn of(path: &Path, text: &str) -> Self {
        let lines = text.lines().zip(1..).filter_map(|(line, number)| {
            let key = line.split_once('=')?.0.trim().trim_matches('"');
            Some((key.to_owned(), number, line.trim().to_owned()))
        });
        Self {
            path: path.to_owned(),
            lines: lines.collect(),
        }
    }

    /// The rule of that key, and where it stands.
    pub(super) fn find(&self, key: &str) -> String {
        match self.lines.iter().find(|it| it.0 == key) {
            Some((_, number, text)) => {
                let text: String = text.chars().take(RULE_CHARS_MAX).collect();
                format!("{} line {number}: {text}", self.path.display())
            }
            None => key.to_owned(),
        }
    }
}
