//! Text of values: cells, CSV, YAML. Pure functions.

use protocol::stamp;
use serde_json::Value;

use super::clean::escape;

/// A member as one cell: empty if it is absent; lists of scalars with commas; objects of scalars likewise, as `KEY=VALUE`.
pub(crate) fn cell(row: &Value, name: &str) -> String {
    let text = match row.get(name) {
        Some(Value::Object(members)) => {
            let pair = |(key, value)| Some(format!("{key}={}", scalar(value)?));
            let pairs: Option<Vec<String>> = members.iter().map(pair).collect();
            pairs.map(|it| it.join(","))
        }
        other => other.and_then(scalar),
    };
    text.unwrap_or_default()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            Some(items?.join(","))
        }
    }
}

/// A member that is a time in ms, as UTC.
pub(crate) fn time(row: &Value, name: &str) -> String {
    match row.get(name).and_then(Value::as_i64) {
        None | Some(0) => String::new(),
        Some(ms) => stamp::format(ms),
    }
}

/// `1 host`, `2 hosts`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// One CSV record (RFC 4180), without its line end. A cell that a spreadsheet would take for a formula has a `'` before it.
pub(super) fn csv(cells: &[String]) -> String {
    let quoted: Vec<String> = cells
        .iter()
        .map(|cell| {
            let mark = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
                "'"
            } else {
                ""
            };
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{mark}{}\"", cell.replace('"', "\"\""))
            } else {
                format!("{mark}{cell}")
            }
        })
        .collect();
    quoted.join(",")
}

/// A YAML 1.2 document. Strings that could be taken for anything else are quoted as in JSON, which YAML reads alike.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    write_yaml(value, 0, &mut out);
    out
}

/// Writes `value` from the current line on; what does not fit on it stands below, `depth` steps in.
fn write_yaml(value: &Value, depth: usize, out: &mut String) {
    let indent = |out: &mut String| out.push_str(&"  ".repeat(depth));
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    indent(out);
                }
                out.push_str(&yaml_text(name));
                out.push(':');
                if is_nested(member) {
                    out.push('\n');
                    out.push_str(&"  ".repeat(depth + 1));
                    write_yaml(member, depth + 1, out);
                } else {
                    out.push(' ');
                    write_yaml(member, depth, out);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    indent(out);
                }
                out.push_str("- ");
                write_yaml(item, depth + 1, out);
            }
        }
        Value::String(text) => {
            out.push_str(&yaml_text(text));
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn yaml_text(text: &str) -> String {
    let starts_well = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '/');
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|it| text.eq_ignore_ascii_case(it));
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '/' | '-');
    if starts_well && !is_word && text.chars().all(plain) {
        text.to_owned()
    } else {
        escape(&Value::from(text).to_string()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_show_scalars_and_lists_of_them() {
        let row = json!({"A": "x", "B": 7, "C": null, "D": ["a", 1], "E": [{}], "F": true, "G": {"k": "v", "l": 1}, "H": {"k": {}}, "T": 1_000});
        let cells = ["A", "B", "C", "D", "E", "F", "G", "H", "Z"].map(|name| cell(&row, name));
        assert_eq!(cells, ["x", "7", "", "a,1", "", "true", "k=v,l=1", "", ""]);
        assert_eq!(time(&row, "T"), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn csv_quotes_what_would_break_it() {
        let cells = ["a", "b,c", "say \"hi\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(csv(&cells), "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",");
    }

    #[test]
    fn csv_is_no_formula_for_a_spreadsheet() {
        let cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=a,\"b\"", "1-1"].map(str::to_owned);
        assert_eq!(
            csv(&cells),
            "'=1+1,'+1,'-1,'@SUM(A1),'\t=1,\"'=a,\"\"b\"\"\",1-1"
        );
    }

    #[test]
    fn yaml_keeps_types_and_structure() {
        let value = json!({
            "Name": "web-1", "Digits": "0123", "Word": "no", "Empty": "", "Colon": "a: b", "Lines": "a\nb",
            "Count": 3, "None": null, "List": [], "Object": {},
            "Nested": [{"A": 1, "B": ["v", "w"]}, [1, 2]],
        });
        let expected = r#"Colon: "a: b"
Count: 3
Digits: "0123"
Empty: ""
Lines: "a\nb"
List: []
Name: web-1
Nested:
  - A: 1
    B:
      - v
      - w
  - - 1
    - 2
None: null
Object: {}
Word: "no"
"#;
        assert_eq!(yaml(&value), expected);
    }

    #[test]
    fn yaml_escapes_what_could_steer_a_terminal() {
        let value = json!({"\u{9b}": "a\u{202e}b\u{85}"});
        assert_eq!(yaml(&value), "\"\\u009b\": \"a\\u202eb\\u0085\"\n");
    }
}
