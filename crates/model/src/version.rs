//! Versions: which of two is the later one.
//!
//! The order is that of Debian (deb-version(7)), which also suits the versions of rpm, apk and kernels:
//! digits count as numbers, `~` comes before everything, even the end, and letters before other signs.

use std::cmp::Ordering;

/// Compares what is installed with what somebody wrote, as exactly as they wrote it: an epoch (`1:`)
/// counts only if they gave one, and of what hyphens separate only as many parts as they gave. So
/// `1:3.0.8-1~deb12u1` equals `3.0.8`, and `6.1.0-18-amd64` is before `6.1.0-20`.
#[must_use]
pub fn compare(installed: &str, wanted: &str) -> Ordering {
    let (installed_epoch, installed) = without_epoch(installed);
    let (wanted_epoch, wanted) = without_epoch(wanted);
    let epochs = match wanted_epoch {
        Some(wanted) => part(installed_epoch.unwrap_or("0"), wanted),
        None => Ordering::Equal,
    };
    let mut parts = installed.split('-');
    wanted.split('-').fold(epochs, |so_far, wanted| {
        so_far.then_with(|| part(parts.next().unwrap_or_default(), wanted))
    })
}

fn without_epoch(version: &str) -> (Option<&str>, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|it| it.is_ascii_digit()) => (Some(epoch), rest),
        _ => (None, version),
    }
}

/// Text and digits in turn, until something differs.
fn part(mut left: &str, mut right: &str) -> Ordering {
    while !(left.is_empty() && right.is_empty()) {
        let ordering = text(head(&mut left, false), head(&mut right, false))
            .then_with(|| number(head(&mut left, true), head(&mut right, true)));
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

/// Takes the digits, or what is none, from the front.
fn head<'a>(rest: &mut &'a str, of_digits: bool) -> &'a str {
    let ends = |c: char| c.is_ascii_digit() != of_digits;
    let (head, tail) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    *rest = tail;
    head
}

fn text(left: &str, right: &str) -> Ordering {
    let weight = |c: Option<char>| match c {
        Some('~') => (0, None),
        None => (1, None),
        Some(c) if c.is_alphabetic() => (2, Some(c)),
        Some(c) => (3, Some(c)),
    };
    let (mut left, mut right) = (left.chars(), right.chars());
    loop {
        let (a, b) = (left.next(), right.next());
        let ordering = weight(a).cmp(&weight(b));
        if ordering != Ordering::Equal || (a.is_none() && b.is_none()) {
            return ordering;
        }
    }
}

fn number(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_an_order() {
        for ascending in [
            &["1.0~rc1", "1.0", "1.0a", "1.0+b", "1.0.1", "1.9", "1.10"][..],
            &["1.1.1k", "1.1.1n", "3.0.7", "3.0.8", "3.0.11"],
            &["0:9", "1:1", "1:1.0", "2:0"],
            &["1-1", "1-1.1", "1-2", "1.0-1", "1.0+b-1", "1.0.1-0"],
            &["3.0.8-1~deb12u1", "3.0.8-1", "3.0.8-1.1"],
            &["6.1.0-9-amd64", "6.1.0-18-amd64", "6.1.1-1-amd64"],
            &["1", "99999999999999999999998", "99999999999999999999999"],
        ] {
            for (at, left) in ascending.iter().enumerate() {
                for (other, right) in ascending.iter().enumerate() {
                    assert_eq!(compare(left, right), at.cmp(&other), "{left} {right}");
                }
            }
        }
    }

    #[test]
    fn what_was_not_written_does_not_count() {
        use Ordering::{Equal, Greater, Less};
        for (installed, wanted, expected) in [
            ("3.0.8-1~deb12u1", "3.0.8", Equal),
            ("1:9.2p1-2+deb12u2", "9.3", Less),
            ("1:9.2p1-2+deb12u2", "1:9.2p1", Equal),
            ("9.2p1", "1:9.2p1", Less),
            ("9.2p1", "0:9.2p1", Equal),
            ("6.1.0-18-amd64", "6.1.0-20", Less),
            ("6.1.0-18-amd64", "6.1.0-18", Equal),
            ("3.0.8", "3.0.8-1", Less),
            ("3.0.9-1", "3.0.8-7", Greater),
            ("01.002", "1.2", Equal),
            ("443", "1024", Less),
            ("", "1", Less),
        ] {
            assert_eq!(compare(installed, wanted), expected, "{installed} {wanted}");
        }
    }
}
