//! Secrets within addresses: behind the user, and where a path itself is the key.

use super::{Span, take};

/// Hosts and beginnings of paths after which all is a key.
const HOOKS: [(&str, &str); 6] = [
    ("hooks.slack.com", "/services/"),
    ("hooks.slack.com", "/workflows/"),
    ("hooks.slack.com", "/triggers/"),
    ("discord.com", "/api/webhooks/"),
    ("hooks.zapier.com", "/hooks/catch/"),
    ("api.telegram.org", "/bot"),
];
/// Shortest user that is taken for a token, in bytes.
const TOKEN_BYTES_MIN: usize = 20;
/// How far a password may be from the `@tcp(` behind it, in bytes.
const LOGIN_BYTES_MAX: usize = 256;

/// Where the address ends in which we are, and the last `@` in it; kept so that a text of many `://`
/// is read once.
#[derive(Clone, Copy, Default)]
pub(super) struct Region {
    end: usize,
    at_sign: Option<usize>,
}

impl Region {
    /// The part of an address behind `://` that may hold a password.
    fn at(self, text: &str, start: usize) -> Self {
        if start < self.end {
            return self;
        }
        let region = take(text, start, |it| {
            !it.is_ascii_whitespace()
                && !matches!(it, 0 | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
        });
        // Parameters are looked at by name; an `@` in them is an address of mail.
        let region = region
            .match_indices('?')
            .find(|(at, _)| is_parameter(region.get(at + 1..).unwrap_or_default()))
            .and_then(|(at, _)| region.get(..at))
            .unwrap_or(region);
        // `/@scope/` belongs to a path.
        let at_sign = region
            .rmatch_indices('@')
            .map(|(at, _)| at)
            .find(|at| !region.get(..*at).is_some_and(|it| it.ends_with('/')));
        Self {
            end: start + region.len(),
            at_sign: at_sign.map(|it| start + it),
        }
    }

    /// The password, or the token in the place of a user, of the address whose authority starts at
    /// `start`.
    pub(super) fn password(&mut self, text: &str, start: usize) -> Option<Span> {
        *self = self.at(text, start);
        let end = self.at_sign.filter(|it| *it > start)?;
        let user = take(text, start, |it| {
            !matches!(it, b':' | b'/' | b'?' | b'#' | b'@')
        });
        let after = start + user.len();
        let span = if text.get(after..)?.starts_with(':') {
            Span {
                start: after + 1,
                end,
            }
        } else if after == end && user.len() >= TOKEN_BYTES_MIN {
            Span { start, end }
        } else {
            return None;
        };
        let password = text.get(span.start..span.end)?;
        (!password.is_empty() && !is_port(password)).then_some(span)
    }
}

/// Whether a query goes on with `name=`.
fn is_parameter(rest: &str) -> bool {
    let name = rest.bytes().take(64).position(|it| !super::is_word(it));
    name.is_some_and(|at| at > 0 && rest.as_bytes().get(at) == Some(&b'='))
}

/// Whether what follows the `:` is a port and a path, in which the `@` stands.
fn is_port(rest: &str) -> bool {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0
        && rest
            .get(digits..)
            .is_some_and(|it| it.starts_with(['/', '?', '#']))
}

/// The key in the path of a webhook, behind its host, which ends at `end`.
pub(super) fn hook(text: &str, host: &str, end: usize) -> Option<Span> {
    let rest = text.get(end..)?;
    let (_, path) = HOOKS
        .iter()
        .find(|(of, path)| *of == host && rest.starts_with(path))?;
    let start = end + path.len();
    let key = take(text, start, |it| {
        !it.is_ascii_whitespace() && !matches!(it, 0 | b'"' | b'\'' | b'<' | b'>' | b'\\' | b')')
    });
    let end = start + key.len();
    (end > start).then_some(Span { start, end })
}

/// The password in `user:password@tcp(host)/name`, whose `@` is at `at`. Text before `kept` is done.
pub(super) fn login(text: &str, kept: usize, at: usize) -> Option<Span> {
    let host = text.get(at + 1..)?;
    let is_network = ["tcp(", "tcp4(", "tcp6(", "unix(", "("]
        .iter()
        .any(|it| host.starts_with(it));
    if !is_network {
        return None;
    }
    let mut from = kept.max(at.saturating_sub(LOGIN_BYTES_MAX));
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..at)?;
    let login = before
        .rsplit(|it: char| it.is_ascii_whitespace() || matches!(it, '"' | '\'' | '=' | '`'))
        .next()?;
    let start = at - login.len() + login.find(':')? + 1;
    (start < at).then_some(Span { start, end: at })
}

/// The password in `jdbc:oracle:thin:user/password@host`, behind the driver that ends at `end`.
pub(super) fn oracle(text: &str, end: usize) -> Option<Span> {
    let start = end + 1;
    text.get(end..start).filter(|it| *it == ":")?;
    let login = take(text, start, |it| {
        !it.is_ascii_whitespace() && !matches!(it, 0 | b'"' | b'\'' | b'<' | b'>')
    });
    let login = login.get(..login.rfind('@')?)?;
    let password = start + login.find('/')? + 1;
    let end = start + login.len();
    (password < end).then_some(Span {
        start: password,
        end,
    })
}
