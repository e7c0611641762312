//! The selector language: which hosts a task is for.
//!
//! `os = debian and not status = offline`, `group in (web, "data base") or name ~ "db-"`. Words are
//! keys, `=`, `!=`, `~` (contains), `in ( , )`, `not in`, `and`, `or`, `not` and parentheses; `and` binds
//! more strongly than `or`. Values are words or double-quoted. Comparing ignores the case of letters.
//! A selector that was parsed cannot be wrong.

use std::fmt;

use crate::limits;

/// What a selector can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Machine architecture, such as `x86_64`.
    Arch,
    /// Name of the host's group.
    Group,
    /// Any address of the host.
    Ip,
    /// Kernel release.
    Kernel,
    /// Host name.
    Name,
    /// Operating system: its id, such as `debian`, or its whole name.
    Os,
    /// `online` or `offline`.
    Status,
    /// The host's uuid.
    Uuid,
    /// Version of its agent.
    Version,
}

impl Key {
    /// All keys, by word.
    pub const ALL: [Self; 9] = [
        Self::Arch,
        Self::Group,
        Self::Ip,
        Self::Kernel,
        Self::Name,
        Self::Os,
        Self::Status,
        Self::Uuid,
        Self::Version,
    ];

    /// The word in a selector.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Arch => "arch",
            Self::Group => "group",
            Self::Ip => "ip",
            Self::Kernel => "kernel",
            Self::Name => "name",
            Self::Os => "os",
            Self::Status => "status",
            Self::Uuid => "uuid",
            Self::Version => "version",
        }
    }
}

/// Which hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Expr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Is { key: Key, values: Vec<String> },
    Contains { key: Key, value: String },
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than it may be.
    #[error("a selector has at most {} bytes", limits::SELECTOR_BYTES_MAX)]
    TooLong,
    /// Deeper than it may be.
    #[error(
        "a selector has at most {} parentheses and `not` inside one another",
        limits::SELECTOR_DEPTH_MAX
    )]
    TooDeep,
    /// A word that is no key.
    #[error("`{0}` is not a key; keys are {keys}", keys = Keys)]
    NoKey(String),
    /// Something else was expected.
    #[error("expected {expected} {place}", place = Place(found))]
    Expected {
        /// What.
        expected: &'static str,
        /// What is there; `None` at the end.
        found: Option<String>,
    },
    /// A quote without its end.
    #[error("a quoted value is not closed")]
    OpenQuote,
}

struct Keys;

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Key::ALL.map(Key::word);
        f.write_str(&words.join(", "))
    }
}

struct Place<'a>(&'a Option<String>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => write!(f, "before `{found}`"),
            None => f.write_str("at the end"),
        }
    }
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > limits::SELECTOR_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
        };
        let expr = parser.any()?;
        match parser.peek() {
            None => Ok(Self(expr)),
            Some(_) => Err(parser.expected("`and`, `or` or the end")),
        }
    }

    /// Whether a host is meant; `values` gives what it has for a key.
    pub fn matches<'a>(&self, values: &impl Fn(Key) -> Vec<&'a str>) -> bool {
        self.0.matches(values)
    }
}

impl Expr {
    fn matches<'a>(&self, values: &impl Fn(Key) -> Vec<&'a str>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|it| it.matches(values)),
            Self::Any(parts) => parts.iter().any(|it| it.matches(values)),
            Self::Not(part) => !part.matches(values),
            Self::Is {
                key,
                values: wanted,
            } => values(*key)
                .iter()
                .any(|it| wanted.iter().any(|wanted| *wanted == it.to_lowercase())),
            Self::Contains { key, value } => values(*key)
                .iter()
                .any(|it| it.to_lowercase().contains(value.as_str())),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Sign("("),
            ')' => Token::Sign(")"),
            ',' => Token::Sign(","),
            '=' => Token::Sign("="),
            '~' => Token::Sign("~"),
            '!' if rest.next_if_eq(&'=').is_some() => Token::Sign("!="),
            '"' => {
                let mut value = String::new();
                loop {
                    match rest.next() {
                        Some('"') => break Token::Quoted(value),
                        Some('\\') => value.extend(rest.next()),
                        Some(c) => value.push(c),
                        None => return Err(Error::OpenQuote),
                    }
                }
            }
            c => {
                let mut word = String::from(c);
                let goes_on = |c: &char| !c.is_whitespace() && !"()=,~!\"".contains(*c);
                while let Some(c) = rest.next_if(goes_on) {
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        tokens.push(token);
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn expected(&self, expected: &'static str) -> Error {
        let found = self.peek().map(|it| match it {
            Token::Word(text) | Token::Quoted(text) => text.clone(),
            Token::Sign(sign) => (*sign).to_owned(),
        });
        Error::Expected { expected, found }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Sign(it)) if *it == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(it)) if it.eq_ignore_ascii_case(word));
        self.at += usize::from(is_it);
        is_it
    }

    fn any(&mut self) -> Result<Expr, Error> {
        let mut parts = vec![self.all()?];
        while self.takes_word("or") {
            parts.push(self.all()?);
        }
        Ok(Expr::Any(parts))
    }

    fn all(&mut self) -> Result<Expr, Error> {
        let mut parts = vec![self.one()?];
        while self.takes_word("and") {
            parts.push(self.one()?);
        }
        Ok(Expr::All(parts))
    }

    fn one(&mut self) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > limits::SELECTOR_DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        let expr = if self.takes_word("not") {
            Expr::Not(Box::new(self.one()?))
        } else if self.takes("(") {
            let inner = self.any()?;
            if !self.takes(")") {
                return Err(self.expected("`)`"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, Error> {
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self.expected("a key"));
        };
        let known = Key::ALL
            .into_iter()
            .find(|it| it.word().eq_ignore_ascii_case(word));
        let key = known.ok_or_else(|| Error::NoKey(word.clone()))?;
        self.at += 1;
        if self.takes("=") {
            let values = vec![self.value()?];
            Ok(Expr::Is { key, values })
        } else if self.takes("!=") {
            let values = vec![self.value()?];
            Ok(Expr::Not(Box::new(Expr::Is { key, values })))
        } else if self.takes("~") {
            let value = self.value()?;
            Ok(Expr::Contains { key, value })
        } else if self.takes_word("in") {
            let values = self.values()?;
            Ok(Expr::Is { key, values })
        } else if self.takes_word("not") {
            if !self.takes_word("in") {
                return Err(self.expected("`in`"));
            }
            let values = self.values()?;
            Ok(Expr::Not(Box::new(Expr::Is { key, values })))
        } else {
            Err(self.expected("`=`, `!=`, `~`, `in` or `not in`"))
        }
    }

    fn values(&mut self) -> Result<Vec<String>, Error> {
        if !self.takes("(") {
            return Err(self.expected("`(`"));
        }
        let mut values = vec![self.value()?];
        while self.takes(",") {
            values.push(self.value()?);
        }
        if self.takes(")") {
            Ok(values)
        } else {
            Err(self.expected("`,` or `)`"))
        }
    }

    fn value(&mut self) -> Result<String, Error> {
        let (Some(Token::Word(text)) | Some(Token::Quoted(text))) = self.peek() else {
            return Err(self.expected("a value"));
        };
        let value = text.to_lowercase();
        self.at += 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(key: Key) -> Vec<&'static str> {
        match key {
            Key::Os => vec!["debian", "Debian GNU/Linux 12 (bookworm)"],
            Key::Name => vec!["db-7.example"],
            Key::Group => vec!["data base"],
            Key::Ip => vec!["10.0.0.7", "2001:db8::7"],
            Key::Status => vec!["online"],
            Key::Arch => vec!["x86_64"],
            Key::Kernel | Key::Uuid | Key::Version => Vec::new(),
        }
    }

    #[test]
    fn a_selector_means_what_it_says() {
        for (text, expected) in [
            ("os = debian", true),
            ("OS=Debian AND status=online", true),
            ("os != debian", false),
            ("name ~ \"db-\"", true),
            ("name ~ web or ip = 2001:db8::7", true),
            ("group in (web, \"Data Base\")", true),
            ("group not in (web, \"data base\")", false),
            ("not (os = debian and arch = x86_64)", false),
            ("not os = alpine and not not status = online", true),
            ("os = alpine and os = debian or arch = x86_64", true),
            ("os = alpine and (os = debian or arch = x86_64)", false),
            ("version = 1", false),
            ("version != 1", true),
        ] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.matches(&host), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, message) in [
            ("", "expected a key at the end"),
            ("os", "expected `=`, `!=`, `~`, `in` or `not in` at the end"),
            ("os = ", "expected a value at the end"),
            (
                "os = debian status = online",
                "expected `and`, `or` or the end before `status`",
            ),
            ("(os = debian", "expected `)` at the end"),
            ("os in debian", "expected `(` before `debian`"),
            ("os not debian", "expected `in` before `debian`"),
            ("name = \"db", "a quoted value is not closed"),
            (
                "os ! debian",
                "expected `=`, `!=`, `~`, `in` or `not in` before `!`",
            ),
        ] {
            assert_eq!(
                Selector::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
        let error = Selector::parse("label = a").unwrap_err().to_string();
        assert!(
            error.starts_with("`label` is not a key; keys are arch, group, ip,"),
            "{error}"
        );
    }

    #[test]
    fn length_and_depth_are_limited() {
        let nested = |depth: usize| format!("{}os=a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Selector::parse(&nested(limits::SELECTOR_DEPTH_MAX - 1)).is_ok());
        let deeper = Selector::parse(&nested(limits::SELECTOR_DEPTH_MAX));
        assert_eq!(deeper.unwrap_err(), Error::TooDeep);
        let long = |bytes: usize| format!("os={}", "a".repeat(bytes - 3));
        assert!(Selector::parse(&long(limits::SELECTOR_BYTES_MAX)).is_ok());
        let longer = Selector::parse(&long(limits::SELECTOR_BYTES_MAX + 1));
        assert_eq!(longer.unwrap_err(), Error::TooLong);
    }
}
