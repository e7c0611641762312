//! Questions and answers of the domain name system (RFC 1035, 4.1).
//!
//! Reads what strangers send: every length is checked, and nothing is trusted but that an answer
//! repeats its question.

use std::net::IpAddr;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 253;
/// Length of a message's head, in bytes.
const HEAD_BYTES: usize = 12;
/// Class "internet".
const INTERNET: [u8; 2] = [0, 1];
/// Response code "no such name".
pub(crate) const NAME_ERROR: u8 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
}

impl Kind {
    const fn code(self) -> [u8; 2] {
        match self {
            Self::A => [0, 1],
            Self::Aaaa => [0, 28],
        }
    }

    fn address(self, data: &[u8]) -> Option<IpAddr> {
        match self {
            Self::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            Self::Aaaa => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        }
    }
}

/// A question for the addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    name: String,
    kind: Kind,
    /// The question as it stands in a message.
    section: Vec<u8>,
}

/// What a name server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Response code; 0: no error.
    pub(crate) code: u8,
    /// The addresses of the kind that was asked for.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether it did not fit into its packet.
    pub(super) is_cut: bool,
}

impl Question {
    /// None if `host` cannot be the name of a host.
    pub(crate) fn new(host: &str, kind: Kind) -> Option<Self> {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut section = Vec::new();
        for label in name.split('.') {
            let is_label = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
            let length = u8::try_from(label.len()).ok()?;
            if !(1..64).contains(&length) || label.starts_with('-') || !label.bytes().all(is_label)
            {
                return None;
            }
            section.push(length);
            section.extend(label.as_bytes());
        }
        section.push(0);
        section.extend(kind.code());
        section.extend(INTERNET);
        Some(Self {
            name,
            kind,
            section,
        })
    }

    /// The name, in lower case, without a dot at its end.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The message that asks this, recursion desired.
    pub(super) fn message(&self, id: [u8; 2]) -> Vec<u8> {
        let mut message = id.to_vec();
        message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend(&self.section);
        message
    }

    /// Reads a message. None if it does not answer this question, or is broken.
    pub(super) fn read_answer(&self, id: [u8; 2], message: &[u8]) -> Option<Answer> {
        let mut rest = Rest(message);
        let head: [u8; HEAD_BYTES] = rest.take()?;
        let [a, b, flags, more_flags, _, questions, high, low, ..] = head;
        let is_response = flags & 0x80 != 0;
        if [a, b] != id || !is_response || questions != 1 {
            return None;
        }
        let repeated = rest.skip(self.section.len())?;
        if !repeated.eq_ignore_ascii_case(&self.section) {
            return None;
        }
        let mut answer = Answer {
            code: more_flags & 0x0f,
            is_cut: flags & 0x02 != 0,
            addresses: Vec::new(),
        };
        for _ in 0..u16::from_be_bytes([high, low]) {
            match rest.record() {
                Some((kind, INTERNET, data)) if kind == self.kind.code() => {
                    answer.addresses.extend(self.kind.address(data));
                }
                Some(_) => {}
                None if answer.is_cut => break,
                None => return None,
            }
        }
        Some(answer)
    }
}

/// What is still to be read of a message.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn skip(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    /// Type, class and data of the next record.
    fn record(&mut self) -> Option<([u8; 2], [u8; 2], &'a [u8])> {
        self.name()?;
        let (kind, class) = (self.take()?, self.take()?);
        let _lifetime: [u8; 4] = self.take()?;
        let length = u16::from_be_bytes(self.take()?);
        Some((kind, class, self.skip(length.into())?))
    }

    /// Passes over a name: labels, and at their end nothing or a pointer to the rest.
    fn name(&mut self) -> Option<()> {
        loop {
            let [length] = self.take()?;
            match length {
                0 => return Some(()),
                1..64 => self.skip(length.into())?,
                0xc0.. => return self.skip(1).map(drop),
                _ => return None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 2] = [0x5b, 0xa7];

    /// An answer to `question`: an alias first, then two addresses.
    fn answer(question: &Question) -> Vec<u8> {
        let mut message = question.message(ID);
        message[2] = 0x81;
        message[3] = 0x80;
        message[7] = 3;
        message.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x13");
        message.extend(b"\x01b\xc0\x13\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x07");
        message.extend(b"\x01b\xc0\x13\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x08");
        message
    }

    #[test]
    fn an_answer_is_read_past_its_aliases() {
        let question = Question::new("Sickbay.example.", Kind::A).unwrap();
        let message = answer(&question);
        assert!(message[HEAD_BYTES..].starts_with(b"\x07sickbay\x07example\x00\x00\x01\x00\x01"));
        let read = question.read_answer(ID, &message).unwrap();
        let expected: [IpAddr; 2] = ["10.0.0.7".parse().unwrap(), "10.0.0.8".parse().unwrap()];
        assert_eq!(read.addresses, expected);
        assert_eq!((read.code, read.is_cut), (0, false));
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        let question = Question::new("sickbay.example", Kind::A).unwrap();
        let message = answer(&question);
        let other = Question::new("sickbay.exampla", Kind::A).unwrap();
        assert_eq!(other.read_answer(ID, &message), None);
        let other = Question::new("sickbay.example", Kind::Aaaa).unwrap();
        assert_eq!(other.read_answer(ID, &message), None);
        assert_eq!(question.read_answer([0, 0], &message), None);
        assert_eq!(question.read_answer(ID, &question.message(ID)), None);
    }

    #[test]
    fn a_broken_message_is_no_answer_and_no_crash() {
        let question = Question::new("sickbay.example", Kind::A).unwrap();
        let message = answer(&question);
        for length in 0..message.len() {
            assert_eq!(
                question.read_answer(ID, &message[..length]),
                None,
                "{length}"
            );
        }
        for at in 0..message.len() {
            for value in [0, 0x3f, 0x40, 0xc0, 0xff] {
                let mut broken = message.clone();
                broken[at] = value;
                let read = question.read_answer(ID, &broken);
                assert!(
                    read.is_none_or(|it| it.addresses.len() <= 2),
                    "{at} {value}"
                );
            }
        }
        let mut cut = message[..message.len() - 3].to_vec();
        cut[2] |= 2;
        let read = question.read_answer(ID, &cut).unwrap();
        assert!(read.is_cut && read.addresses.len() == 1);
    }

    #[test]
    fn what_is_no_host_name_is_not_asked_for() {
        for name in [
            "",
            ".",
            "a..b",
            "-a",
            "a b",
            "a/b",
            "ä.example",
            &"x".repeat(64),
        ] {
            assert_eq!(Question::new(name, Kind::A), None, "{name}");
        }
        let long = [
            "x".repeat(63),
            "x".repeat(63),
            "x".repeat(63),
            "x".repeat(62),
        ]
        .join(".");
        assert_eq!(Question::new(&long, Kind::A), None);
        assert!(Question::new("_a.b-c.example", Kind::A).is_some());
    }

    #[test]
    fn a_broken_answer_is_survived() {
        let question = Question::new("host.example", Kind::A).unwrap();
        let sample = answer(&question);
        crate::fuzz::bytes("answers of name servers", &[&sample], |it| {
            drop(question.read_answer(ID, it));
        });
    }
}
