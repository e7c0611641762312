//! Takes secrets out of text before it leaves the host, and leaves the text readable.
//!
//! Knows secrets by the name before them (`password=`, `"token":`, `--install-code`), by their shape
//! (access keys, web tokens, private keys, hashes of passwords, randomness), by their place
//! (`https://user:HERE@host`, `curl -u`) and by what is said (`the password is X`). When in doubt it
//! redacts; what it knows to be harmless (`tokens: 7`, `passwd: files`) it leaves byte for byte. One pass, linear in the length of the text. Called for evidence, for
//! bundles and for inventories.

mod address;
mod bare;
mod block;
mod entropy;
mod foreign;
mod name;
mod program;
mod prose;
mod shape;
mod value;

use name::Strength;
use program::Program;
use value::{Name, Place};

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
        program: None,
        has_login: false,
        is_told: false,
        region: address::Region::default(),
        pair_end: 0,
        pair_value: None,
    };
    scanner.run();
    (scanner.out, scanner.count)
}

/// How far the value of a pair may be from its name, in bytes.
const PAIR_BYTES_MAX: usize = 512;

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

struct Scanner<'a> {
    text: &'a str,
    out: String,
    /// Where we are.
    at: usize,
    /// Up to here the text is in `out`.
    kept: usize,
    count: usize,
    /// The program of this command, if it takes secrets by flags of its own.
    program: Option<&'static Program>,
    /// Whether this line names a login or machine, as `.netrc` does.
    has_login: bool,
    /// Whether this line has named a secret.
    is_told: bool,
    /// The address we are in.
    region: address::Region,
    /// Up to here a `value` belongs to the name of a secret.
    pair_end: usize,
    /// The last value of a pair whose name may follow.
    pair_value: Option<Span>,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        while let Some(byte) = self.text.as_bytes().get(self.at).copied() {
            if is_word(byte) {
                let word = take(self.text, self.at, is_word);
                self.word(word);
            } else {
                self.mark(byte);
            }
        }
        let rest = self.text.get(self.kept..).unwrap_or_default();
        self.out.push_str(rest);
    }

    /// Looks at the byte here, which is not one of a word.
    fn mark(&mut self, byte: u8) {
        let span = match byte {
            b'$' | b'{' => shape::hash(self.text, self.at),
            b'@' => address::login(self.text, self.kept, self.at),
            b'*' | b'/' | b'[' => bare::login_line(self.text, self.at),
            128.. => self.foreign(),
            _ => None,
        };
        match byte {
            b'\n' => {
                self.program = None;
                self.has_login = false;
                self.is_told = false;
            }
            b'|' | b';' => self.program = None,
            b'}' => {
                self.pair_end = 0;
                self.pair_value = None;
            }
            _ => {}
        }
        self.at += 1;
        if let Some(span) = span {
            self.replace(span);
        }
    }

    /// The secret behind a name in another language that begins here.
    fn foreign(&mut self) -> Option<Span> {
        let length = foreign::begins(self.text.get(self.at..)?)?;
        self.is_told = true;
        let before = self.text.get(..self.at)?;
        Name {
            text: self.text,
            start: self.at,
            end: self.at + length,
            strength: Strength::Sure,
            place: Place::of(before),
        }
        .assigned()
    }

    /// Replaces the text of `span`, and goes on behind it.
    fn replace(&mut self, span: Span) {
        let secret = self.text.get(span.start..span.end).unwrap_or_default();
        // Redacted before, perhaps without the bracket that closes it.
        if REDACTED.starts_with(secret) {
            self.at = self.at.max(span.end);
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
        let escape = self.escape(word);
        let start = self.at + escape;
        let word = word.get(escape..).unwrap_or(word);
        let end = start + word.len();
        self.at = start;
        if let Some(span) = self.foreign() {
            self.at = end;
            self.replace(span);
            return;
        }
        self.at = end;
        let rest = self.text.get(end..).unwrap_or_default();
        let key = word
            .find("-----")
            .and_then(|it| shape::private_key(self.text, start + it, self.kept));
        if let Some(span) = key {
            self.replace(span);
        } else if rest.starts_with("://") {
            self.at = end + 3;
            let password = self.region.password(self.text, end + 3);
            if let Some(span) = password.filter(|it| !self.is_plain(*it)) {
                self.replace(span);
            }
        } else if let Some(span) = shape::secret(self.text, word, start)
            .or_else(|| bare::secret(self.text, word, start, self.is_told))
            .or_else(|| self.flagged(word, end))
            .or_else(|| self.paired(word, start, end))
            .or_else(|| self.named(word, start, end))
            .or_else(|| self.placed(word, start, end))
        {
            self.replace(span);
        } else {
            self.program = program::find(word).or(self.program);
            self.has_login |= matches!(word, "machine" | "login");
            self.is_told |= name::strength(word) == Some(Strength::Sure);
        }
    }

    fn is_plain(&self, span: Span) -> bool {
        let value = self.text.get(span.start..span.end);
        value.is_none_or(prose::is_plain)
    }

    /// How many bytes at the start of the word end an escape, as `3F` in `%3Ftoken` and `n` in
    /// `\ntoken`.
    fn escape(&self, word: &str) -> usize {
        let before = self.text.get(..self.at).unwrap_or_default();
        let is_hex = |it: &str| it.bytes().all(|it| it.is_ascii_hexdigit());
        let length = if before.ends_with('%') && word.get(..2).is_some_and(is_hex) {
            2
        } else if !before.ends_with('\\') {
            0
        } else if word.starts_with('u') && word.get(1..5).is_some_and(is_hex) {
            5
        } else {
            usize::from(word.starts_with(['n', 'r', 't']))
        };
        if length < word.len() { length } else { 0 }
    }

    /// The secret that a flag of this command bears.
    fn flagged(&mut self, word: &str, end: usize) -> Option<Span> {
        if word == "--from-literal" {
            return program::literal(self.text, end);
        }
        let program = self.program?;
        let span = program.secret(self.text, word, end)?;
        if program.is_done_after_one() {
            self.program = None;
        }
        Some(span)
    }

    /// The value of a pair whose name is the word or was before, as in `name: X`, `value: Y`.
    fn paired(&mut self, word: &str, start: usize, end: usize) -> Option<Span> {
        let text = self.text;
        let before = text.get(..start)?;
        if name::is_of_name(word) {
            // `</name>` only ends it.
            if !before.ends_with('/') {
                self.pair_end = 0;
            }
        } else if name::is_of_value(word) {
            let value = Name {
                text,
                start,
                end,
                strength: Strength::Sure,
                place: Place::of(before),
            }
            .assigned();
            let is_of_secret = std::mem::take(&mut self.pair_end) > start;
            self.pair_value = value.filter(|it| it.end - it.start < PAIR_BYTES_MAX);
            return value.filter(|_| is_of_secret);
        } else if self.is_half(before, end) && name::strength(word).is_some() {
            self.pair_end = end + PAIR_BYTES_MAX;
            let value = self.pair_value.take();
            return value.filter(|it| it.start >= self.kept && it.end + PAIR_BYTES_MAX > start);
        }
        None
    }

    /// Whether the word that ends at `end` is the name in a pair, and bears no value itself.
    fn is_half(&self, before: &str, end: usize) -> bool {
        let rest = self.text.get(end..).unwrap_or_default();
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        !rest.starts_with(['=', ':']) && is_value_of_name(before)
    }

    /// The secret that follows the word, if the word announces one.
    fn named(&self, word: &str, start: usize, end: usize) -> Option<Span> {
        let text = self.text;
        if word.eq_ignore_ascii_case("bearer") {
            return value::credential(text, end);
        }
        if word == "Private-Lines" {
            return shape::putty(text, end);
        }
        let strength = name::strength(word)?;
        let before = text.get(..start)?;
        // A path in a program, such as `agent::token`, or the other half of a pair.
        if before.ends_with("::") || self.is_half(before, end) {
            return None;
        }
        let place = Place::of(before);
        let name = Name {
            text,
            start,
            end,
            strength,
            place,
        };
        let follows = if name::is_header(word) {
            value::header(text, end)
        } else {
            name.assigned()
        };
        if follows.is_some() || strength == Strength::Likely {
            return follows;
        }
        if word.starts_with('-') {
            return value::argument(text, end);
        }
        let is_alone = place == Place::Line || self.has_login;
        prose::told(text, word, start, end).or_else(|| prose::spaced(text, word, end, is_alone))
    }

    /// The secret that is known by where the word stands.
    fn placed(&self, word: &str, start: usize, end: usize) -> Option<Span> {
        let text = self.text;
        match word {
            "thin" | "oci" if text.get(..start)?.ends_with("oracle:") => address::oracle(text, end),
            "BY" if text.get(..start)?.ends_with("IDENTIFIED ") => value::argument(text, end),
            "by" if text.get(..start)?.ends_with("identified ") => value::argument(text, end),
            _ => address::hook(text, word, end).or_else(|| entropy::random(text, start)),
        }
    }
}

/// Whether a word behind that text is the value of `name` or `key`.
fn is_value_of_name(before: &str) -> bool {
    let name = before.trim_end_matches(['"', '\'', '\\', ' ']);
    let Some(name) = name.strip_suffix(['=', ':', '>']) else {
        return false;
    };
    let name = name.trim_end_matches(['"', '\'', '\\', ' ']);
    let start = name.len()
        - name
            .bytes()
            .rev()
            .take(16)
            .take_while(|it| is_word(*it))
            .count();
    name.get(start..).is_some_and(name::is_of_name)
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
