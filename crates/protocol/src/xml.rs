//! Answers as XML, for callers that ask for `Format=XML`.
//!
//! Owns the mapping from a JSON answer to elements. Never reads XML. Called by the front door.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// The answer under the element `root` (`<Action>Response` or `Error`). Nulls are left out; an
/// array becomes one element with an element per item inside, named as the item of that list:
/// `<Instances><Instance>…`.
#[must_use]
pub fn to_xml(root: &str, value: &Value) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    element(&mut xml, root, value);
    xml
}

fn element(xml: &mut String, name: &str, value: &Value) {
    let name = element_name(name);
    let tag = |xml: &mut String, open: &str| xml.extend([open, &*name, ">"]);
    tag(xml, "<");
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => xml.push_str(&value.to_string()),
        Value::String(text) => escape(xml, text),
        Value::Array(items) => {
            let item = item_name(&name);
            // A null keeps its place, or the items behind it would move up.
            items.iter().for_each(|value| element(xml, &item, value));
        }
        Value::Object(members) => object(xml, members),
    }
    tag(xml, "</");
}

fn object(xml: &mut String, members: &Map<String, Value>) {
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        element(xml, name, value);
    }
}

/// What an item of the list `name` is called: the name without `List`, or in the singular.
fn item_name(name: &str) -> String {
    let stem = |ending: &str| name.strip_suffix(ending).filter(|stem| !stem.is_empty());
    if let Some(stem) = stem("List") {
        stem.to_owned()
    } else if let Some(stem) = stem("ies") {
        format!("{stem}y")
    } else if stem("sses").is_some() || stem("tuses").is_some() {
        stem("es").unwrap_or("Item").to_owned()
    } else if !name.ends_with("ss")
        && let Some(stem) = stem("s")
    {
        stem.to_owned()
    } else {
        "Item".to_owned()
    }
}

/// A member's name as an element name; characters that XML forbids there become `_`.
fn element_name(name: &str) -> Cow<'_, str> {
    let legal =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.chars().all(legal) {
        return Cow::Borrowed(name);
    }
    let lead = if starts_well { "" } else { "_" };
    Cow::Owned(
        lead.chars()
            .chain(
                name.chars()
                    .map(|character| if legal(character) { character } else { '_' }),
            )
            .collect(),
    )
}

/// Escapes text; drops what XML 1.0 cannot say at all.
fn escape(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            // A bare one would be read as a line feed.
            '\r' => xml.push_str("&#13;"),
            '\t' | '\n' => xml.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => xml.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: &Value) -> String {
        to_xml("R", value).split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn lists_name_their_items() {
        let value = json!({"TaskManageResponseList": [{"TaskId": "a", "Progress": 1}, {"TaskId": "b"}], "RequestId": "ID"});
        assert_eq!(
            to_xml(
                "DescribeOnceTaskResponse",
                &json!({ "TaskManageResponseList": value["TaskManageResponseList"] })
            ),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeOnceTaskResponse><TaskManageResponseList>\
             <TaskManageResponse><Progress>1</Progress><TaskId>a</TaskId></TaskManageResponse>\
             <TaskManageResponse><TaskId>b</TaskId></TaskManageResponse></TaskManageResponseList></DescribeOnceTaskResponse>"
        );
        for (list, item) in [
            ("OnceTasks", "OnceTask"),
            ("InstallCodes", "InstallCode"),
            ("Instances", "Instance"),
            ("ProblemTypes", "ProblemType"),
            ("Propertys", "Property"),
            ("Policies", "Policy"),
            ("IpAddresses", "IpAddress"),
            ("Statuses", "Status"),
            ("Causes", "Cause"),
            ("Data", "Item"),
            ("Access", "Item"),
            ("List", "Item"),
        ] {
            assert_eq!(item_name(list), item);
        }
    }

    #[test]
    fn text_survives_and_illegal_characters_do_not() {
        assert_eq!(
            body(&json!({"A": "<a href=\"x\">'&\r\n\t\u{0}\u{1b}\u{fffe}离"})),
            "<R><A>&lt;a href=&quot;x&quot;&gt;&apos;&amp;&#13;\n\t离</A></R>"
        );
    }

    #[test]
    fn nulls_are_omitted_and_empty_things_stay() {
        assert_eq!(
            body(&json!({"A": null, "B": "", "Cs": [], "D": {}, "E": true})),
            "<R><B></B><Cs></Cs><D></D><E>true</E></R>"
        );
        assert_eq!(
            body(&json!([[1], null])),
            "<R><Item><Item>1</Item></Item><Item></Item></R>"
        );
    }

    #[test]
    fn a_name_that_is_no_element_name_is_made_one() {
        assert_eq!(
            body(&json!({"1 a>": 1, "": 2})),
            "<R><_>2</_><_1_a_>1</_1_a_></R>"
        );
    }
}
