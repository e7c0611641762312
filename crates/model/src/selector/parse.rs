//! Reading a selector: words and signs, then expressions.
//!
//! Owns the grammar and what is said of a text that does not follow it. What an expression means is
//! the parent's.

use std::cmp::Ordering;

use super::{Error, Expr, Key, Place, Selector};
use crate::limits;
use crate::network::Network;

/// See [`Selector::parse`].
pub(super) fn selector(text: &str) -> Result<Selector, Error> {
    if text.len() > limits::SELECTOR_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    if parser.peek().is_none() {
        return Err(Error::Empty);
    }
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(Selector(expr)),
        Some(_) => Err(parser.expected("`and`, `or` or the end")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

/// The tokens, each with the number of its first character, from 1.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Error> {
    let mut tokens = Vec::new();
    let mut rest = (1..).zip(text.chars()).peekable();
    while let Some((at, c)) = rest.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Sign("("),
            ')' => Token::Sign(")"),
            ',' => Token::Sign(","),
            '=' => Token::Sign("="),
            '~' => Token::Sign("~"),
            '<' if rest.next_if(|it| it.1 == '=').is_some() => Token::Sign("<="),
            '<' => Token::Sign("<"),
            '>' if rest.next_if(|it| it.1 == '=').is_some() => Token::Sign(">="),
            '>' => Token::Sign(">"),
            '!' if rest.next_if(|it| it.1 == '=').is_some() => Token::Sign("!="),
            '"' => {
                let mut value = String::new();
                loop {
                    match rest.next() {
                        Some((_, '"')) => break Token::Quoted(value),
                        Some((_, '\\')) => value.extend(rest.next().map(|it| it.1)),
                        Some((_, c)) => value.push(c),
                        None => return Err(Error::OpenQuote(at)),
                    }
                }
            }
            c => {
                let mut word = String::from(c);
                let goes_on = |c: char| !c.is_whitespace() && !"()=,~!<>\"".contains(c);
                while let Some((_, c)) = rest.next_if(|it| goes_on(it.1)) {
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|it| &it.1)
    }

    fn place(&self) -> Option<Place> {
        self.tokens.get(self.at).map(|(at, token)| Place {
            at: *at,
            found: match token {
                Token::Word(text) | Token::Quoted(text) => text.clone(),
                Token::Sign(sign) => (*sign).to_owned(),
            },
        })
    }

    fn expected(&self, expected: &'static str) -> Error {
        let found = self.place();
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
        let place = self.place();
        let key = self.key()?;
        let sign = ORDERS.iter().find(|(sign, _)| self.takes(sign));
        if let Some((_, orders)) = sign {
            match place {
                Some(place) if !key.has_order() => return Err(Error::NoOrder(place)),
                _ => {}
            }
            let value = self.value_of(&key)?;
            Ok(Expr::Order { key, orders, value })
        } else if self.takes("=") {
            let values = vec![self.value_of(&key)?];
            Ok(is(key, values))
        } else if self.takes("!=") {
            let values = vec![self.value_of(&key)?];
            Ok(Expr::Not(Box::new(is(key, values))))
        } else if self.takes("~") {
            let value = self.part_of(&key)?;
            Ok(Expr::Contains { key, value })
        } else if self.takes_word("in") {
            let values = self.values_of(&key)?;
            Ok(is(key, values))
        } else if self.takes_word("not") {
            if !self.takes_word("in") {
                return Err(self.expected("`in`"));
            }
            let values = self.values_of(&key)?;
            Ok(Expr::Not(Box::new(is(key, values))))
        } else if self.takes_word("exists") {
            Ok(Expr::Exists(key))
        } else {
            let signs = match key.has_order() {
                true => "`=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `in`, `not in` or `exists`",
                false => "`=`, `!=`, `~`, `in`, `not in` or `exists`",
            };
            Err(self.expected(signs))
        }
    }

    fn key(&mut self) -> Result<Key, Error> {
        let (Some(Token::Word(word)), Some(place)) = (self.peek(), self.place()) else {
            return Err(self.expected("a key"));
        };
        let word = word.to_lowercase();
        self.at += 1;
        if word == "package" {
            return self.package();
        }
        if word == "package.version" {
            return Err(Error::NoPackage(place));
        }
        if let Some(key) = word.strip_prefix("label.") {
            return match key.parse() {
                Ok(key) => Ok(Key::Label(key)),
                Err(error) => Err(Error::Label { place, error }),
            };
        }
        let known = Key::WORDS.into_iter().find(|it| it.0 == word);
        known.map(|it| it.1).ok_or(Error::NoKey(place))
    }

    fn package(&mut self) -> Result<Key, Error> {
        if !self.takes("(") {
            return Err(self.expected("`(` and the package's name"));
        }
        let name = self.value()?;
        if self.takes(")") {
            Ok(Key::Package(name))
        } else {
            Err(self.expected("`)`"))
        }
    }

    fn values_of(&mut self, key: &Key) -> Result<Vec<String>, Error> {
        if !self.takes("(") {
            return Err(self.expected("`(`"));
        }
        let mut values = vec![self.value_of(key)?];
        while self.takes(",") {
            values.push(self.value_of(key)?);
        }
        if self.takes(")") {
            Ok(values)
        } else {
            Err(self.expected("`,` or `)`"))
        }
    }

    /// A value that the key may have: a misspelt one would turn a `not` into all hosts.
    fn value_of(&mut self, key: &Key) -> Result<String, Error> {
        let (place, value) = (self.place(), self.value()?);
        checked(place, &value, key, |value| match key {
            Key::Status => ["online", "offline"].contains(&value),
            Key::Port => value.parse::<u16>().is_ok_and(|it| it > 0),
            Key::Ip => Network::parse(value).is_ok(),
            _ => true,
        })?;
        Ok(value)
    }

    /// A part of a value that the key may have.
    fn part_of(&mut self, key: &Key) -> Result<String, Error> {
        let (place, value) = (self.place(), self.value()?);
        checked(place, &value, key, |value| match key {
            Key::Status => ["online", "offline"].iter().any(|it| it.contains(value)),
            Key::Port => value.bytes().all(|it| it.is_ascii_digit()),
            Key::Ip => value
                .bytes()
                .all(|it| it.is_ascii_hexdigit() || b".:".contains(&it)),
            _ => true,
        })?;
        Ok(value)
    }

    fn value(&mut self) -> Result<String, Error> {
        let (Some(Token::Word(text)) | Some(Token::Quoted(text)), Some(place)) =
            (self.peek(), self.place())
        else {
            return Err(self.expected("a value"));
        };
        if text.is_empty() {
            return Err(Error::EmptyValue(place.at));
        }
        if matches!(self.peek(), Some(Token::Word(it)) if it.starts_with('\'')) {
            return Err(Error::SingleQuote(place));
        }
        let value = text.to_lowercase();
        self.at += 1;
        Ok(value)
    }
}

fn checked(
    place: Option<Place>,
    value: &str,
    key: &Key,
    fits: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let (word, help) = match key {
        Key::Status => ("status", "those are `online` and `offline`"),
        Key::Port => ("port", "those are numbers from 1 to 65535"),
        Key::Ip => (
            "ip",
            "those are addresses and, but after `~`, networks such as 192.0.2.0/24",
        ),
        _ => return Ok(()),
    };
    match place {
        Some(place) if !fits(value) => Err(Error::Value {
            place,
            key: word,
            help,
        }),
        _ => Ok(()),
    }
}

/// The key has one of the values, which were checked.
fn is(key: Key, values: Vec<String>) -> Expr {
    match key {
        Key::Ip => Expr::Lies(values.iter().flat_map(|it| Network::parse(it)).collect()),
        key => Expr::Is { key, values },
    }
}

/// The signs that compare by order, and how a value may stand to the one behind the sign.
const ORDERS: [(&str, &[Ordering]); 4] = [
    ("<", &[Ordering::Less]),
    ("<=", &[Ordering::Less, Ordering::Equal]),
    (">", &[Ordering::Greater]),
    (">=", &[Ordering::Greater, Ordering::Equal]),
];
