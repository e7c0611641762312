//! The places that an agent uses, by its profile and by what its settings name. Says nothing of how they are.

use super::super::Profile;
use super::{Places, read};
use crate::check::settings::Format;
use crate::check::subject::{ConfigFile, Place};

/// Places of one agent that are looked at.
const PLACES_MAX: usize = 256;

/// Usual places of logs and state, and what settings name by an absolute path. A YAML or TOML file may
/// name what a part uses that is switched off.
pub(super) fn places(profile: &Profile, places: &Places, configs: &[ConfigFile]) -> Vec<Place> {
    let usual = [&profile.paths.logs, &profile.paths.data];
    let usual = usual.into_iter().flat_map(|it| places.all(it));
    let mut all: Vec<Place> = usual.map(|path| Place { path, key: None }).collect();
    let forms = [Format::Keyvalue, Format::Ini];
    for config in configs.iter().filter(|it| forms.contains(&it.format)) {
        let read = read(std::slice::from_ref(config));
        let named = read.settings.into_iter().filter_map(|it| {
            let value = it.value.trim_matches(['"', '\'']);
            let is_path = value.starts_with('/') && !value.contains(['*', '?', '%', '$', ' ', ',']);
            is_path.then(|| Place {
                path: value.into(),
                key: Some(it.key),
            })
        });
        all.extend(named);
    }
    all.truncate(PLACES_MAX);
    all
}
