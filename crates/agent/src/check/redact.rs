//! Takes secrets out of text before it leaves the host, and leaves the text readable.
//!
//! Knows secrets by the name before them (`password=`, `"token":`, `--install-code`), by their shape
//! (access keys, JSON web tokens, private keys in PEM) and by their place (`https://user:HERE@host`).
//! When in doubt it redacts. One pass, linear in the length of the text. Called for evidence, for
//! bundles and for inventories.

mod name;
mod shape;
mod value;

use value::{Place, Span};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// The text without its secrets, and how many there were.
#[must_use]
pub fn redact(text: &str) -> (String, usize) {
    let mut scanner = Scanner {
        text,
        out: String::with_capacity(text.len()),
        at: 0,
        kept: 0,
        count: 0,
        password_flag: None,
    };
    scanner.run();
    (scanner.out, scanner.count)
}

struct Scanner<'a> {
    text: &'a str,
    out: String,
    /// Where we are.
    at: usize,
    /// Up to here the text is in `out`.
    kept: usize,
    count: usize,
    /// The flag that bears a password in the command of this line, such as `-p` of `sshpass`.
    password_flag: Option<&'static str>,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        while let Some(byte) = self.byte(self.at) {
            if is_word(byte) {
                let word = take(self.text, self.at, is_word);
                self.word(word);
            } else {
                if matches!(byte, b'\n' | b'|' | b';') {
                    self.password_flag = None;
                }
                self.at += 1;
            }
        }
        let rest = self.text.get(self.kept..).unwrap_or_default();
        self.out.push_str(rest);
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Replaces the text of `span`, and goes on behind it.
    fn replace(&mut self, span: Span) {
        let secret = self.text.get(span.start..).unwrap_or_default();
        if secret.starts_with(REDACTED) {
            self.at = span.start + REDACTED.len();
            return;
        }
        let Some(kept) = self.text.get(self.kept..span.start) else {
            return;
        };
        self.out.push_str(kept);
        self.out.push_str(REDACTED);
        self.kept = span.end;
        self.at = span.end;
        self.count += 1;
    }

    /// Looks at the word that starts here.
    fn word(&mut self, word: &'a str) {
        let start = self.at;
        let end = start + word.len();
        self.at = end;
        let rest = self.text.get(end..).unwrap_or_default();
        let key = word
            .find("-----")
            .and_then(|it| shape::private_key(self.text, start + it, self.kept));
        if let Some(span) = key {
            self.replace(span);
        } else if rest.starts_with("://") {
            self.address(end + 3);
        } else if shape::is_secret(word) {
            let length = take(self.text, start, shape::is_base64).len();
            self.replace(Span {
                start,
                end: start + length.max(word.len()),
            });
        } else if let Some(span) = self.named(word, end) {
            if self.password_flag.is_some_and(|it| word.starts_with(it)) {
                self.password_flag = None;
            }
            self.replace(span);
        } else if let Some(flag) = name::password_flag(word) {
            self.password_flag = Some(flag);
        }
    }

    /// The secret that follows the word, if the word announces one.
    fn named(&self, word: &str, end: usize) -> Option<Span> {
        if word.eq_ignore_ascii_case("bearer") {
            return value::credential(self.text, end);
        }
        if let Some(flag) = self.password_flag
            && word.starts_with(flag)
        {
            let attached = Span {
                start: end - (word.len() - flag.len()),
                end,
            };
            let attached = (word.len() > flag.len()).then_some(attached);
            return attached.or_else(|| value::argument(self.text, end));
        }
        if !name::is_secret(word) {
            return None;
        }
        let before = self.text.get(..self.at - word.len())?;
        // A path in a program, such as `agent::token`.
        if before.ends_with("::") {
            return None;
        }
        let follows = if name::is_header(word) {
            value::header(self.text, end)
        } else {
            value::assigned(self.text, end, Place::of(before))
        };
        let is_flag = word.starts_with('-');
        follows.or_else(|| is_flag.then(|| value::argument(self.text, end)).flatten())
    }

    /// The password in the authority of an address that starts here.
    fn address(&mut self, start: usize) {
        self.at = start;
        let authority = take(self.text, start, |it| {
            !it.is_ascii_whitespace()
                && !matches!(it, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\')
        });
        let Some((user, _)) = authority.rsplit_once('@') else {
            return;
        };
        let end = start + user.len();
        match user.split_once(':') {
            Some((_, password)) if !value::is_plain(password) => {
                self.replace(Span {
                    start: end - password.len(),
                    end,
                });
            }
            // A token in the place of the user.
            None if user.len() >= 20 => self.replace(Span { start, end }),
            _ => {}
        }
    }
}

/// Bytes of names, flags and tokens.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The bytes from `start` on for which `wanted` holds.
fn take(text: &str, start: usize, wanted: impl Fn(u8) -> bool) -> &str {
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.bytes().position(|it| !wanted(it));
    // A byte beyond ASCII may lie inside a character; then the text is taken up to that character.
    let mut end = end.unwrap_or(rest.len());
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    rest.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
