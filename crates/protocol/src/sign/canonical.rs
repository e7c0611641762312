//! The canonical spelling of parameters that both signatures are made over.
//!
//! Owns percent-encoding by RFC 3986. Never decodes.

/// Percent-encodes everything but `A-Z a-z 0-9 - _ . ~`, in upper-case hex.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(digit(byte >> 4));
            encoded.push(digit(byte & 15));
        }
    }
    encoded
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

/// `name=value` pairs, encoded, sorted by name and joined with `&`: the canonical query, and as
/// good as any for the wire.
#[must_use]
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<(&str, &str)> = pairs.into_iter().collect();
    sorted.sort_unstable();
    let mut joined = String::new();
    for (name, value) in sorted {
        if !joined.is_empty() {
            joined.push('&');
        }
        joined.push_str(&encode(name));
        joined.push('=');
        joined.push_str(&encode(value));
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encode("aZ09-_.~ *+/é%"), "aZ09-_.~%20%2A%2B%2F%C3%A9%25");
    }

    #[test]
    fn a_query_is_sorted_by_the_decoded_name() {
        assert_eq!(
            query([("b", "1"), ("a b", "&="), ("B", ""), ("a.1", "x")]),
            "B=&a%20b=%26%3D&a.1=x&b=1"
        );
        assert_eq!(query([]), "");
    }
}
