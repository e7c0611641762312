//! XML as configuration files use it: elements and their text. Attributes, comments and instructions
//! are passed over; several roots in one file are allowed.

use super::{Setting, add};

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 32;

pub(super) fn read(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('<') {
        let value = before.trim();
        if !value.is_empty() && !path.is_empty() {
            add(&mut settings, &path.join("."), &unescaped(value));
        }
        if let Some(comment) = tail.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |it| it.1);
            continue;
        }
        let Some((tag, behind)) = tail.split_once('>') else {
            break;
        };
        rest = behind;
        if tag.starts_with('/') {
            path.pop();
        } else if !tag.starts_with(['?', '!']) && !tag.ends_with('/') {
            if path.len() >= DEPTH_MAX {
                break;
            }
            path.extend(tag.split_whitespace().next());
        }
    }
    settings
}

fn unescaped(text: &str) -> String {
    let names = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    names
        .iter()
        .fold(text.to_owned(), |text, (name, it)| text.replace(name, it))
}

#[cfg(test)]
mod tests {
    use super::super::values;
    use super::*;

    #[test]
    fn elements_have_a_path_and_comments_none() {
        let text = "<?xml version=\"1.0\"?>\n<!-- <client>no</client> -->\n<ossec_config>\n <client>\n\
                    <server a=\"b\"><address>10.0.0.1 &amp; x</address><port>1514</port></server>\n\
                    <empty/>\n</client></ossec_config>\n<ossec_config><client><name>n</name></client></ossec_config>";
        let settings = read(text);
        let check = |key: &str, expected: &[&str]| {
            assert_eq!(values(&settings, key).collect::<Vec<_>>(), expected);
        };
        check("ossec_config.client.server.address", &["10.0.0.1 & x"]);
        check("ossec_config.client.server.port", &["1514"]);
        check("ossec_config.client.name", &["n"]);
        check("ossec_config.client", &[]);
    }
}
