//! Wildcards of policies: `*` for any text, `?` for one character.

use std::str::Chars;

/// Whether the whole of `text` fits `pattern`. The time is at most the product of both lengths,
/// whatever the pattern: only the last `*` is ever tried again, since an earlier one taking more
/// text could not help.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut last_star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut after, mut rest) = (pattern.clone(), text.clone());
        let advanced = match (after.next(), rest.next()) {
            (Some('*'), _) => {
                last_star = Some((after.clone(), text.clone()));
                rest = text.clone();
                true
            }
            (Some(wanted), Some(found)) => wanted == '?' || wanted == found,
            (None, None) => return true,
            (None, Some(_)) => false,
            (Some(_), None) => return false,
        };
        if advanced {
            (pattern, text) = (after, rest);
            continue;
        }
        let Some((after_star, taken)) = &mut last_star else {
            return false;
        };
        if taken.next().is_none() {
            return false;
        }
        (pattern, text) = (after_star.clone(), taken.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abcb", false),
            ("a*b*c", "aXbYbZc", true),
            ("*ab", "aab", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("?*", "", false),
            ("a*", "b", false),
            ("*.log", "x.log.log", true),
            ("离*", "离线", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let pattern = "a*".repeat(500) + "b";
        assert!(!matches(&pattern, &"a".repeat(1000)));
    }
}
