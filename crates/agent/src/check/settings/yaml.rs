//! YAML as configuration files use it: nested mappings, lists, plain and quoted values.
//!
//! Reads line by line by indentation. Anchors, tags and blocks of text are passed over.

use super::{Setting, add, join, unquoted};

/// A level of nesting: its indentation and the path of what stands below it.
struct Level {
    indent: usize,
    path: String,
}

pub(super) fn read(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    for line in text.lines() {
        let content = without_comment(line).trim_end();
        let trimmed = content.trim_start();
        if trimmed.is_empty() || trimmed.starts_with("---") || trimmed.starts_with('%') {
            continue;
        }
        let mut indent = content.len() - trimmed.len();
        let mut rest = trimmed;
        let mut is_item = false;
        // A dash makes what stands behind it deeper than itself.
        while let Some(item) = rest
            .strip_prefix("- ")
            .or_else(|| (rest == "-").then_some(""))
        {
            is_item = true;
            let inner = item.trim_start();
            indent += rest.len() - inner.len();
            rest = inner;
        }
        // An item may stand at the indentation of the key that it belongs to.
        let dash = content.len() - trimmed.len();
        let is_parent = |it: &Level| it.indent < indent && (!is_item || it.indent <= dash);
        while levels.last().is_some_and(|it| !is_parent(it)) {
            levels.pop();
        }
        let path = levels.last().map_or("", |it| it.path.as_str());
        match key_of(rest) {
            Some((key, value)) => {
                let path = join(path, key);
                values(&mut settings, &path, value);
                levels.push(Level { indent, path });
            }
            None => values(&mut settings, path, rest),
        }
    }
    settings
}

/// `key: value` or `key:`; a colon inside a value (an address) is none.
fn key_of(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['[', '{']) {
        return None;
    }
    let (key, value) = match text.strip_suffix(':') {
        Some(key) if !key.contains(": ") => (key, ""),
        _ => text.split_once(": ")?,
    };
    Some((unquoted(key.trim()), value.trim()))
}

/// A plain value, or the elements of `[a, b]`.
fn values(settings: &mut Vec<Setting>, path: &str, value: &str) {
    match value.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(list) => {
            for it in list.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                add(settings, path, unquoted(it));
            }
        }
        None if value.is_empty() || value.starts_with(['{', '|', '>', '&', '!']) => {}
        None => add(settings, path, unquoted(value)),
    }
}

/// A `#` at the start or behind white space, outside quotes, begins a comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return line.get(..at).unwrap_or_default(),
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::values as of;
    use super::*;

    #[test]
    fn nested_keys_lists_and_quotes_are_read() {
        let text = "\
# comment
output.elasticsearch:
  hosts: [\"https://a.example:9200\", 'b.example']   # two
  protocol: \"https\"
output:
  logstash:
    hosts:
      - c.example:5044
      - 'd.example:5044'
    enabled: true
inputs:
- type: log
  paths:
  - /var/log/a#b.log
- type: tcp
  host: \"localhost:9000\"
dd_url: https://e.example
outputs:
  default:
    type: elasticsearch
    hosts:
    - https://f.example:443
";
        let settings = read(text);
        let check = |key: &str, expected: &[&str]| {
            let found: Vec<&str> = of(&settings, key).collect();
            assert_eq!(found, expected, "{key}: {settings:?}");
        };
        check(
            "output.elasticsearch.hosts",
            &["https://a.example:9200", "b.example"],
        );
        check("output.elasticsearch.protocol", &["https"]);
        check(
            "output.logstash.hosts",
            &["c.example:5044", "d.example:5044"],
        );
        check("inputs.type", &["log", "tcp"]);
        check("inputs.paths", &["/var/log/a#b.log"]);
        check("inputs.host", &["localhost:9000"]);
        check("dd_url", &["https://e.example"]);
        check("outputs.*.hosts", &["https://f.example:443"]);
    }
}
