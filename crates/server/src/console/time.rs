//! Times as people read them.

use maud::{Markup, html};
use model::Language;

/// A moment, relative to now, with the exact time behind it.
pub(super) fn moment(at_ms: i64, now_ms: i64, language: Language) -> Markup {
    let exact = protocol::stamp::format(at_ms);
    html! { time datetime=(exact) title=(exact) { (ago(now_ms.saturating_sub(at_ms), language)) } }
}

fn ago(ms: i64, language: Language) -> String {
    let (count, unit_en, unit_zh) = match ms / 1_000 {
        ..5 => {
            let now = match language {
                Language::English => "now",
                Language::Chinese => "刚刚",
            };
            return now.to_owned();
        }
        it @ 5..60 => (it, "s", "秒"),
        it @ 60..3_600 => (it / 60, "min", "分钟"),
        it @ 3_600..86_400 => (it / 3_600, "h", "小时"),
        it => (it / 86_400, "d", "天"),
    };
    match language {
        Language::English => format!("{count} {unit_en} ago"),
        Language::Chinese => format!("{count} {unit_zh}前"),
    }
}

/// How long something took.
pub(super) fn span(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_that_people_would_say() {
        let said = |ms| ago(ms, Language::English);
        assert_eq!(
            [said(-9), said(4_999), said(59_000)],
            ["now", "now", "59 s ago"]
        );
        assert_eq!([said(60_000), said(86_400_000)], ["1 min ago", "1 d ago"]);
        assert_eq!(
            [span(999), span(1_050), span(61_000)],
            ["999 ms", "1.0 s", "1 min 1 s"]
        );
    }
}
