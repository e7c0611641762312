//! The parameters of a request: query string and form body, decoded and merged.
//!
//! Owns the decoding, the limit on their number, and typed access with the fault that names the
//! parameter. Never looks at headers and never decides which parameters an operation has. Called by
//! the signing code and by the operations' requests.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use model::limits::REQUEST_PARAMETERS_MAX;

use crate::error::{Code, Fault};

/// Decoded parameters: those of the query in their order, then those of the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
    /// How many of `pairs` came in the query: signature V3 covers those by themselves.
    from_query: usize,
}

impl Params {
    /// Decodes a query string (without `?`) and a form body. A parameter that is given twice is
    /// kept, so that the signature can be checked first; see [`Params::check_unique`].
    ///
    /// # Errors
    /// Too many parameters, or one that is not UTF-8. Their size is bounded by that of the request.
    pub fn parse(query: &str, form: Option<&[u8]>) -> Result<Self, Fault> {
        let mut params = Self::default();
        params.add(query.as_bytes())?;
        params.from_query = params.pairs.len();
        params.add(form.unwrap_or_default())?;
        Ok(params)
    }

    /// Parameters that came another way than in a request.
    #[must_use]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            pairs: pairs.iter().map(own).collect(),
            from_query: 0,
        }
    }

    fn add(&mut self, encoded: &[u8]) -> Result<(), Fault> {
        for part in encoded
            .split(|byte| *byte == b'&')
            .filter(|part| !part.is_empty())
        {
            if self.pairs.len() == REQUEST_PARAMETERS_MAX {
                return Err(Fault::new(
                    Code::InvalidParameter,
                    format!("A request may have at most {REQUEST_PARAMETERS_MAX} parameters."),
                ));
            }
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default());
            let value = decode(halves.next().unwrap_or_default());
            let name = String::from_utf8(name).map_err(|_| {
                Fault::new(
                    Code::InvalidParameter,
                    "The name of a parameter is not UTF-8.",
                )
            })?;
            let value =
                String::from_utf8(value).map_err(|_| Fault::invalid(&name, "must be UTF-8"))?;
            self.pairs.push((name, value));
        }
        Ok(())
    }

    /// Every parameter as `(name, value)`, decoded, in the order it came.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The parameters of the query alone.
    #[must_use]
    pub fn query_pairs(&self) -> &[(String, String)] {
        self.pairs.get(..self.from_query).unwrap_or_default()
    }

    /// Refuses a parameter that is given twice: nobody could say which one counts.
    ///
    /// # Errors
    /// `InvalidParameter` with the name.
    pub fn check_unique(&self) -> Result<(), Fault> {
        let mut seen = HashSet::new();
        match self.pairs.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(Fault::invalid(name, "must be given once only")),
            None => Ok(()),
        }
    }

    /// The value as sent, even when empty.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value of a mandatory parameter.
    ///
    /// # Errors
    /// `MissingParameter` if it is absent or empty.
    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::missing(name))
    }

    /// A whole number.
    ///
    /// # Errors
    /// `InvalidParameter` if it is something else, or needs more than 64 bits.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Fault::invalid(
                name,
                &format!("must be a whole number, was {}", quoted(text)),
            )
        })
    }

    /// A whole number within `range`; `default` if absent.
    ///
    /// # Errors
    /// `InvalidParameter` if it is something else, or outside.
    pub fn integer_in(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> Result<i64, Fault> {
        match self.integer(name)? {
            None => Ok(default),
            Some(value) if range.contains(&value) => Ok(value),
            Some(value) => Err(Fault::invalid(
                name,
                &format!("must be {} to {}, was {value}", range.start(), range.end()),
            )),
        }
    }

    /// `true` or `false` in any letter case: clients differ in it.
    ///
    /// # Errors
    /// `InvalidParameter` if it is something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(Fault::invalid(
                name,
                &format!("must be true or false, was {}", quoted(text)),
            )),
        }
    }

    /// The values of `name.1`, `name.2`, … by number. Gaps are skipped, and so are empty values.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let index = |key: &str| -> Option<u64> {
            let digits = key.strip_prefix(name)?.strip_prefix('.')?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let mut items: Vec<(u64, &str)> = self
            .pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(key, value)| Some((index(key)?, value.as_str())))
            .collect();
        items.sort_by_key(|(index, _)| *index);
        items.into_iter().map(|(_, value)| value).collect()
    }
}

/// A refused value for an error message: quoted, and cut so that the answer stays small.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("\"{short}{dots}\"")
}

/// `+` is a space and `%XX` a byte; a `%` that starts no such thing stands for itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return decoded,
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push((nibble(*high) << 4) | nibble(*low));
                tail
            }
            [byte, tail @ ..] => {
                decoded.push(if *byte == b'+' { b' ' } else { *byte });
                tail
            }
        };
    }
}

/// The value of a hex digit of either case.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(query, None).unwrap()
    }

    #[test]
    fn every_spelling_of_the_wire_decodes_to_the_same() {
        for query in [
            "a+b=%E7%A6%BB~*%2B%2f",
            "a%20b=离~%2a%2B/",
            "&a+b=离~*%2B/&&",
        ] {
            assert_eq!(
                params(query).pairs(),
                [("a b".to_owned(), "离~*+/".to_owned())],
                "{query}"
            );
        }
        assert_eq!(
            params("a=%&b=%4&c=%zz%41&d=x=y&e")
                .pairs()
                .iter()
                .map(|(_, v)| v.as_str())
                .collect::<Vec<_>>(),
            ["%", "%4", "%zzA", "x=y", ""]
        );
    }

    #[test]
    fn query_comes_first_and_names_keep_their_case() {
        let both = Params::parse("a=1&b=", Some(b"A=2&c=+")).unwrap();
        assert_eq!(
            (both.get("a"), both.get("A"), both.get("c")),
            (Some("1"), Some("2"), Some(" "))
        );
        assert_eq!(
            (both.get("b"), both.raw("b"), both.raw("d")),
            (None, Some(""), None)
        );
        assert_eq!(both.query_pairs().len(), 2);
        assert_eq!(both.required("b").unwrap_err().code, Code::MissingParameter);
    }

    #[test]
    fn what_is_not_utf8_or_too_much_is_refused() {
        let fault = Params::parse("Name=%FF", None).unwrap_err();
        assert!(fault.message.contains("\"Name\""), "{}", fault.message);
        assert_eq!(
            Params::parse("%FF=1", None).unwrap_err().code,
            Code::InvalidParameter
        );

        let many = vec!["a"; REQUEST_PARAMETERS_MAX].join("&");
        assert_eq!(params(&many).pairs().len(), REQUEST_PARAMETERS_MAX);
        assert_eq!(
            Params::parse(&many, Some(b"a")).unwrap_err().code,
            Code::InvalidParameter
        );
    }

    #[test]
    fn a_parameter_given_twice_is_named() {
        assert_eq!(params("a=1&A=1&b=").check_unique(), Ok(()));
        let fault = Params::parse("a=1&b=1", Some(b"a=1"))
            .unwrap()
            .check_unique()
            .unwrap_err();
        assert!(
            fault
                .message
                .starts_with("The specified parameter \"a\" is not valid."),
            "{}",
            fault.message
        );
    }

    #[test]
    fn numbers_and_booleans_say_what_they_must_be() {
        let all = params("n=-12&big=9223372036854775808&word=ten&t=True&f=FALSE&empty=");
        assert_eq!(all.integer("n"), Ok(Some(-12)));
        assert_eq!(all.integer("empty"), Ok(None));
        assert_eq!(all.integer("big").unwrap_err().code, Code::InvalidParameter);
        assert!(
            all.integer("word")
                .unwrap_err()
                .message
                .ends_with("word must be a whole number, was \"ten\".")
        );
        assert_eq!(all.integer_in("absent", 1..=100, 20), Ok(20));
        assert_eq!(params("p=100").integer_in("p", 1..=100, 20), Ok(100));
        assert!(
            params("p=101")
                .integer_in("p", 1..=100, 20)
                .unwrap_err()
                .message
                .contains("1 to 100, was 101")
        );
        assert_eq!(
            (all.boolean("t"), all.boolean("f"), all.boolean("empty")),
            (Ok(Some(true)), Ok(Some(false)), Ok(None))
        );
        assert_eq!(
            all.boolean("word").unwrap_err().code,
            Code::InvalidParameter
        );
    }

    #[test]
    fn lists_are_ordered_by_number() {
        let all = params("L.10=j&L.2=b&L.1=a&L.3=&L=no&L.x=no&LL.1=no&L.1.1=no&L.=no");
        assert_eq!(all.list("L"), ["a", "b", "j"]);
        assert!(all.list("M").is_empty());
    }
}
