//! Reading a selector: words and signs, then expressions.
//!
//! Owns the grammar and what is said of a text that does not follow it. What an expression means is
//! the parent's.

use super::{Error, Expr, Key, Place, Selector};
use crate::label;
use crate::limits;

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
                let goes_on = |c: char| !c.is_whitespace() && !"()=,~!\"".contains(c);
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

    fn expected(&self, expected: &'static str) -> Error {
        let found = self.tokens.get(self.at).map(|(at, token)| Place {
            at: *at,
            found: match token {
                Token::Word(text) | Token::Quoted(text) => text.clone(),
                Token::Sign(sign) => (*sign).to_owned(),
            },
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
        let key = self.key()?;
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
        } else if self.takes_word("exists") {
            Ok(Expr::Exists(key))
        } else {
            Err(self.expected("`=`, `!=`, `~`, `in`, `not in` or `exists`"))
        }
    }

    fn key(&mut self) -> Result<Key, Error> {
        let Some((at, Token::Word(word))) = self.tokens.get(self.at) else {
            return Err(self.expected("a key"));
        };
        let place = || Place {
            at: *at,
            found: word.clone(),
        };
        let label = word
            .split_at_checked(LABEL.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(LABEL));
        let key = match label {
            Some((_, key)) => {
                Key::Label(key.parse().map_err(|error: label::Error| Error::Label {
                    place: place(),
                    error,
                })?)
            }
            None => {
                Key::WORDS
                    .into_iter()
                    .find(|it| it.0.eq_ignore_ascii_case(word))
                    .ok_or_else(|| Error::NoKey(place()))?
                    .1
            }
        };
        self.at += 1;
        Ok(key)
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

/// What a label's key stands behind.
const LABEL: &str = "label.";
