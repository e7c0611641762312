//! Reads configuration files of many forms as one flat list of settings.
//!
//! A setting's key is the path to it, with dots: `output.elasticsearch.hosts`. Elements of a list all
//! have the list's own key. TOML and JSON are read by their parsers and their faults are faults;
//! what is read by our own rules (YAML, XML, INI, lines of keys and values) is read as far as it goes
//! and never called wrong: only its own program knows.

mod xml;
mod yaml;

use serde::Deserialize;

/// Most settings of one file.
pub(super) const SETTINGS_MAX: usize = 4_096;

/// How a configuration file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML: mappings, lists and plain values; no anchors, tags or blocks of text.
    Yaml,
    /// JSON; comments as a line of their own are allowed.
    Json,
    /// Sections in brackets, then lines of keys and values.
    Ini,
    /// A key and a value per line, with `=`, `:` or white space between them; `<Name …>` and
    /// `</Name>` enclose a section.
    Keyvalue,
    /// Elements; attributes are passed over.
    Xml,
    /// Sickbay's own policy of the agent.
    Policy,
    /// Only its lines can be looked at.
    #[default]
    None,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
}

/// Why a file is not of its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

/// The settings of a file.
///
/// # Errors
/// TOML or JSON that is neither.
pub(super) fn read(format: Format, text: &str) -> Result<Vec<Setting>, Fault> {
    let mut settings = match format {
        Format::Toml | Format::Policy => of_toml(text)?,
        Format::Json => of_json(text)?,
        Format::Yaml => yaml::read(text),
        Format::Xml => xml::read(text),
        Format::Ini | Format::Keyvalue => of_lines(text),
        Format::None => Vec::new(),
    };
    settings.truncate(SETTINGS_MAX);
    Ok(settings)
}

/// The values of a key. A `*` in it stands for one part of the path; case does not count.
pub(super) fn values<'a>(
    settings: &'a [Setting],
    key: &'a str,
) -> impl Iterator<Item = &'a str> + 'a {
    let fits = move |it: &&Setting| {
        let (mut wanted, mut has) = (key.split('.'), it.key.split('.'));
        loop {
            match (wanted.next(), has.next()) {
                (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(wanted), Some(has)) if wanted.eq_ignore_ascii_case(has) => {}
                _ => return false,
            }
        }
    };
    settings.iter().filter(fits).map(|it| it.value.as_str())
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn of_toml(text: &str) -> Result<Vec<Setting>, Fault> {
    let table: toml::Table = toml::from_str(text).map_err(|error| Fault {
        line: line_at(text, error.span().map_or(0, |it| it.start)),
        message: error.message().replace('\n', ", "),
    })?;
    let mut settings = Vec::new();
    toml_into(&toml::Value::Table(table), "", &mut settings);
    Ok(settings)
}

/// Line, from 1, of a place in a text.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

fn toml_into(value: &toml::Value, path: &str, settings: &mut Vec<Setting>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                toml_into(value, &join(path, key), settings);
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|it| toml_into(it, path, settings)),
        toml::Value::String(text) => add(settings, path, text),
        toml::Value::Integer(it) => add(settings, path, &it.to_string()),
        toml::Value::Float(it) => add(settings, path, &it.to_string()),
        toml::Value::Boolean(it) => add(settings, path, &it.to_string()),
        toml::Value::Datetime(it) => add(settings, path, &it.to_string()),
    }
}

fn of_json(text: &str) -> Result<Vec<Setting>, Fault> {
    // Agents that read JSON often allow lines that are comments; kept empty, so that lines count on.
    let is_comment = |it: &str| it.starts_with("//") || it.starts_with('#');
    let plain: Vec<&str> = text
        .lines()
        .map(|it| if is_comment(it.trim_start()) { "" } else { it })
        .collect();
    let value = serde_json::from_str(&plain.join("\n")).map_err(|error| Fault {
        line: error.line(),
        message: error.to_string(),
    })?;
    let mut settings = Vec::new();
    json_into(&value, "", &mut settings);
    Ok(settings)
}

fn json_into(value: &serde_json::Value, path: &str, settings: &mut Vec<Setting>) {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                json_into(value, &join(path, key), settings);
            }
        }
        Value::Array(list) => list.iter().for_each(|it| json_into(it, path, settings)),
        Value::String(text) => add(settings, path, text),
        Value::Null => {}
        other => add(settings, path, &other.to_string()),
    }
}

fn add(settings: &mut Vec<Setting>, key: &str, value: &str) {
    settings.push(Setting {
        key: key.to_owned(),
        value: value.to_owned(),
    });
}

/// Lines of keys and values, in sections `[a]` or `<A …>`.
fn of_lines(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut sections: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '!', '%']) {
            continue;
        }
        if line.starts_with("</") {
            sections.pop();
        } else if let Some(opened) = line.strip_prefix('<').and_then(|it| it.strip_suffix('>')) {
            // `<Plugin network>` is the setting `Plugin` and the section `Plugin.network`.
            let (name, about) = split(opened);
            add(&mut settings, &join(&sections.join("."), name), about);
            let words = opened.split_whitespace().map(unquoted);
            sections.push(words.collect::<Vec<_>>().join("."));
        } else if let Some(named) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            sections = vec![named.trim().to_owned()];
        } else {
            let (key, value) = split(line);
            add(&mut settings, &join(&sections.join("."), key), value);
        }
    }
    settings
}

/// The key is what stands before the first `=`, `:` or white space.
fn split(line: &str) -> (&str, &str) {
    let is_separator = |c: char| c == '=' || c == ':' || c.is_whitespace();
    let Some((key, rest)) = line
        .find(is_separator)
        .and_then(|at| line.split_at_checked(at))
    else {
        return (line, "");
    };
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim();
    // A comment behind the value; `#` inside a word belongs to it.
    let value = value.split(" #").next().unwrap_or_default().trim_end();
    (key, unquoted(value))
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| {
        let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inside.contains(quote)).then_some(inside)
    };
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, text: &str, key: &str, expected: &[&str]) {
        let settings = read(format, text).unwrap();
        let found: Vec<&str> = values(&settings, key).collect();
        assert_eq!(found, expected, "{key} in {settings:?}");
    }

    #[test]
    fn settings_of_every_form_have_a_path() {
        check(
            Format::Toml,
            "[[outputs.influxdb]]\nurls = [\"http://a:1\", \"http://b:2\"]\n[[outputs.influxdb]]\nurls = [\"http://c\"]\n",
            "outputs.*.urls",
            &["http://a:1", "http://b:2", "http://c"],
        );
        check(
            Format::Json,
            "{\n// comment\n\"Agent\": {\"Region\": \"eu-1\", \"n\": 3}}",
            "agent.region",
            &["eu-1"],
        );
        check(
            Format::Ini,
            "; c\n[OUTPUT]\n    Name  es\n    Host  a.example # c\n[OUTPUT]\nhost=b.example\n",
            "output.host",
            &["a.example", "b.example"],
        );
        check(
            Format::Keyvalue,
            "# c\nServerActive=a:10051,b\nListenPort = 10050\nPort 22\n",
            "serveractive",
            &["a:10051,b"],
        );
        check(
            Format::Keyvalue,
            "<Plugin network>\n  Server \"a\" \"25826\"\n<Server b>\nx 1\n</Server>\n</Plugin>\nInterval 10\n",
            "plugin.network.server",
            &["\"a\" \"25826\"", "b"],
        );
    }

    #[test]
    fn a_fault_names_its_line() {
        let toml = read(Format::Toml, "a = 1\nb = = 2\n").unwrap_err();
        assert_eq!(toml.line, 2);
        let json = read(Format::Json, "# c\n{\n\"a\": }").unwrap_err();
        assert_eq!(json.line, 3);
    }

    #[test]
    fn what_our_rules_do_not_read_is_not_called_wrong() {
        for format in [Format::Yaml, Format::Xml, Format::Ini, Format::Keyvalue] {
            assert!(read(format, "\t{[<%}\n : \n- -\n<!--").is_ok());
        }
    }

    #[test]
    fn broken_configurations_are_survived() {
        let samples = [
            "a: 1\nb:\n  - c: \"x\" # y\n  - [1, 2]\n",
            "<a x='1'><b>&lt;c&gt;</b><!-- d --></a>",
            "[a]\nb = 'c' # d\ne = [1, 2]\n",
            "{\"a\": {\"b\": [1, \"c\"]}}",
            "Server=10.0.0.1,10.0.0.2\n; x\nkey value\n",
        ];
        let formats = [
            Format::Toml,
            Format::Json,
            Format::Yaml,
            Format::Xml,
            Format::Ini,
            Format::Keyvalue,
            Format::Policy,
        ];
        crate::fuzz::text("configurations", &samples, |it| {
            let _ = formats.map(|format| read(format, it));
        });
    }
}
