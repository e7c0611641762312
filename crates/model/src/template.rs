//! Command templates: words in capitals stand for what a host makes of them.
//!
//! Owns which words there are, which values each accepts and how a value is written into a line of sh.
//! A value comes from a host and must never become syntax: what a placeholder does not accept is as
//! good as unknown, and what it accepts is quoted. Called by the agent, the node and the command line.

/// A word in a template, always in capitals and by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placeholder {
    /// An address that was tried.
    Address,
    /// The configuration file.
    Config,
    /// The directory where the agent keeps its state.
    Data,
    /// `SERVER:PORT`, in brackets where IPv6 needs them.
    Endpoint,
    /// A network interface.
    Interface,
    /// A log file.
    Log,
    /// The installed package.
    Package,
    /// The file, directory or mount point that the finding is about.
    Path,
    /// The agent's process.
    Pid,
    /// The server's port.
    Port,
    /// The name of the agent's process.
    Process,
    /// The agent's program.
    Program,
    /// The proxy, without user and password.
    Proxy,
    /// The server's name or address.
    Server,
    /// The agent's systemd unit; the init script has its name without `.service`.
    Unit,
    /// Where the server is reached.
    Url,
    /// The user that the agent runs as.
    User,
}

/// Longest value, in bytes: the longest path of Linux.
const VALUE_BYTES_MAX: usize = 4_096;

impl Placeholder {
    /// All placeholders.
    pub const ALL: [Self; 17] = [
        Self::Address,
        Self::Config,
        Self::Data,
        Self::Endpoint,
        Self::Interface,
        Self::Log,
        Self::Package,
        Self::Path,
        Self::Pid,
        Self::Port,
        Self::Process,
        Self::Program,
        Self::Proxy,
        Self::Server,
        Self::Unit,
        Self::Url,
        Self::User,
    ];

    /// The word in a template.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS",
            Self::Config => "CONFIG",
            Self::Data => "DATA",
            Self::Endpoint => "ENDPOINT",
            Self::Interface => "INTERFACE",
            Self::Log => "LOG",
            Self::Package => "PACKAGE",
            Self::Path => "PATH",
            Self::Pid => "PID",
            Self::Port => "PORT",
            Self::Process => "PROCESS",
            Self::Program => "PROGRAM",
            Self::Proxy => "PROXY",
            Self::Server => "SERVER",
            Self::Unit => "UNIT",
            Self::Url => "URL",
            Self::User => "USER",
        }
    }

    /// The placeholder of that word.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    /// What may stand in its place.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Pid | Self::Port => Kind::Number,
            Self::Config | Self::Data | Self::Log | Self::Path | Self::Program => Kind::Path,
            Self::Proxy | Self::Url => Kind::Url,
            Self::Server | Self::Address | Self::Endpoint => Kind::Address,
            Self::Interface | Self::Package | Self::Process | Self::Unit | Self::User => Kind::Name,
        }
    }

    /// Whether a value can stand in its place.
    #[must_use]
    pub fn accepts(self, value: &str) -> bool {
        self.kind().accepts(value)
    }
}

/// What the values of a word are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server's name or address, with or without a port.
    Address,
    /// The name of a package, unit, user, interface or process.
    Name,
    /// Digits.
    Number,
    /// A path from the root.
    Path,
    /// One line of anything.
    Text,
    /// An address with a scheme.
    Url,
}

impl Kind {
    /// Whether it is such a value. None may look like an option.
    #[must_use]
    pub fn accepts(self, value: &str) -> bool {
        let only = |more: &str| {
            value
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || more.contains(it))
        };
        let fits = match self {
            Self::Number => value.bytes().all(|it| it.is_ascii_digit()),
            Self::Path => value.starts_with('/'),
            Self::Url => value.contains("://"),
            Self::Address => only(".:-_[]%"),
            Self::Name => only(".:-_@+\\"),
            Self::Text => true,
        };
        let is_text = !value.chars().any(char::is_control);
        let length = 1..=VALUE_BYTES_MAX;
        fits && is_text && length.contains(&value.len()) && !value.starts_with('-')
    }
}

/// A value that a template needs is not known, or its placeholder does not accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not known", .0.word())]
pub struct Unknown(pub Placeholder);

/// The template with every placeholder replaced by its value, quoted for sh.
///
/// # Errors
/// [`Unknown`]: the first placeholder without a value.
pub fn fill<'a>(
    template: &str,
    known: impl Fn(Placeholder) -> Option<&'a str>,
) -> Result<String, Unknown> {
    fill_words(template, |word| {
        let it = Placeholder::find(word)?;
        let value = known(it).filter(|value| it.accepts(value));
        Some(value.ok_or(Unknown(it)))
    })
}

/// The template with every word for which there is a value replaced by it, quoted for sh.
///
/// # Errors
/// The first error that a word has instead of its value.
pub fn fill_words<V: AsRef<str>, E>(
    template: &str,
    value: impl Fn(&str) -> Option<Result<V, E>>,
) -> Result<String, E> {
    let mut line = String::new();
    for piece in pieces(template) {
        match value(&piece) {
            Some(value) => line.push_str(&quoted(value?.as_ref())),
            None => line.push_str(&piece),
        }
    }
    Ok(line)
}

/// The first of these words that stands inside quotes of sh, where a quoted value would end them.
#[must_use]
pub fn inside_quotes(template: &str, is_word: impl Fn(&str) -> bool) -> Option<String> {
    let mut quote = None;
    for piece in pieces(template) {
        if quote.is_some() && is_word(&piece) {
            return Some(piece);
        }
        for c in piece.chars() {
            quote = match (quote, c) {
                (None, '\'' | '"') => Some(c),
                (Some(open), _) if open == c => None,
                (same, _) => same,
            };
        }
    }
    None
}

/// The placeholders of a template, each once.
#[must_use]
pub fn placeholders(template: &str) -> Vec<Placeholder> {
    let words = pieces(template);
    let mut found: Vec<_> = words
        .iter()
        .filter_map(|it| Placeholder::find(it))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Words (letters, digits, underscores) and what stands between them.
fn pieces(template: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut in_word = None;
    for c in template.chars() {
        let is_word = c.is_ascii_alphanumeric() || c == '_';
        match pieces.last_mut() {
            Some(piece) if in_word == Some(is_word) => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
        in_word = Some(is_word);
    }
    pieces
}

/// The value as one word of sh that means itself (POSIX.1-2024, XCU 2.2.2).
#[must_use]
pub fn quoted(value: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./:@%+=,".contains(it);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Fix};

    fn filled(template: &str, value: &str) -> Result<String, Unknown> {
        fill(template, |_| Some(value))
    }

    #[test]
    fn a_value_is_one_word_whatever_it_holds() {
        let path = "/a b'; reboot; $(id) `id` \"é";
        let line = filled("printf %s PATH", path).unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
    }

    #[test]
    fn only_whole_words_are_placeholders() {
        assert_eq!(filled("df PATH/x", "/var").unwrap(), "df /var/x");
        assert_eq!(filled("LD_PATH PATHS", "/var").unwrap(), "LD_PATH PATHS");
        assert_eq!(fill("df PATH", |_| None), Err(Unknown(Placeholder::Path)));
    }

    #[test]
    fn what_does_not_fit_is_as_good_as_unknown() {
        use Placeholder as P;
        for (placeholder, value) in [
            (P::Unit, "a.service; reboot"),
            (P::Unit, "--force"),
            (P::Unit, ""),
            (P::Pid, "1 2"),
            (P::Port, "-1"),
            (P::Path, "var"),
            (P::Path, "/a\nb"),
            (P::Url, "example.org"),
            (P::Server, "a$b"),
        ] {
            assert!(!placeholder.accepts(value), "{placeholder:?} {value:?}");
            assert!(filled(placeholder.word(), value).is_err());
        }
        for (placeholder, value) in [
            (P::Unit, r"dev-disk\x2d1.service"),
            (P::Path, "/a'b"),
            (P::Endpoint, "[::1]:443"),
            (P::Url, "https://example.org/x?y=1"),
        ] {
            assert!(placeholder.accepts(value), "{placeholder:?} {value:?}");
        }
    }

    #[test]
    fn no_template_has_a_placeholder_inside_quotes_or_a_word_that_looks_like_one() {
        const NO_PLACEHOLDERS: [&str; 4] = ["CONT", "DEBIAN_FRONTEND", "DENIED", "OUTPUT"];
        let verify = Cause::ALL.iter().flat_map(|it| it.about().verify);
        let commands = Fix::ALL.iter().filter_map(|it| it.action());
        for template in verify.copied().chain(commands.map(|it| it.command)) {
            let is_placeholder = |word: &str| Placeholder::find(word).is_some();
            assert_eq!(inside_quotes(template, is_placeholder), None, "{template}");
            for piece in pieces(template) {
                let shouts =
                    piece.len() > 2 && piece.chars().all(|it| it.is_ascii_uppercase() || it == '_');
                let known = is_placeholder(&piece) || NO_PLACEHOLDERS.contains(&piece.as_str());
                assert!(!shouts || known, "{piece} in {template}");
            }
        }
    }
}
