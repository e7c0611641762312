//! What pages are made of: states, bars, pagers, addresses.

use maud::{Markup, html};
use protocol::api::PageInfo;

use super::words::Words;

/// A status: colour, shape and word.
pub(super) fn status(wire: &str, w: Words) -> Markup {
    let class = format!("status {}", wire.to_ascii_lowercase());
    html! { span class=(class) { (w.status_of(wire)) } }
}

/// How many leaves stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) success: u32,
    pub(super) fail: u32,
    pub(super) timeout: u32,
    pub(super) unfinished: u32,
}

impl Counts {
    pub(super) fn of(task: &protocol::api::task::Task) -> Self {
        Self {
            success: task.success_count,
            fail: task.fail_count,
            timeout: task.timeout_count,
            unfinished: task.unfinished_count,
        }
    }

    const fn parts(self) -> [(&'static str, u32); 4] {
        [
            ("SUCCESS", self.success),
            ("FAIL", self.fail),
            ("TIMEOUT", self.timeout),
            ("UNFINISHED", self.unfinished),
        ]
    }

    /// A bar whose parts are as wide as there are leaves. It needs no style of its own: widths in a drawing are
    /// attributes.
    pub(super) fn bar(self, w: Words) -> Markup {
        let total: u32 = self.parts().iter().map(|(_, count)| count).sum();
        let mut from = 0;
        let mut label = String::new();
        for (wire, count) in self.parts() {
            if count > 0 {
                label.push_str(&format!("{count} {}, ", word(wire, w)));
            }
        }
        html! {
            svg.bar viewBox=(format!("0 0 {} 10", total.max(1))) preserveAspectRatio="none" role="img"
                aria-label=(label.trim_end_matches(", ")) {
                @for (wire, count) in self.parts() {
                    @if count > 0 {
                        rect class=(wire.to_ascii_lowercase()) x=(from) width=(count) height="10" {}
                        ({ from += count; "" })
                    }
                }
            }
        }
    }

    /// The parts as links to the leaves that stand there.
    pub(super) fn links(self, address: &dyn Fn(&str) -> String, chosen: &str, w: Words) -> Markup {
        let total: u32 = self.parts().iter().map(|(_, count)| count).sum();
        html! {
            ul.counts {
                li { a href=(address("")) aria-current=[chosen.is_empty().then_some("true")] {
                    span.number { (grouped(total)) } " " (w.all())
                } }
                @for (wire, count) in self.parts() {
                    li.(wire.to_ascii_lowercase()) {
                        a href=(address(wire)) aria-current=[(chosen == wire).then_some("true")] {
                            span.number { (grouped(count)) } " " (word(wire, w))
                        }
                    }
                }
            }
        }
    }
}

fn word(wire: &str, w: Words) -> &'static str {
    if wire == "UNFINISHED" {
        w.unfinished()
    } else {
        w.status_of(wire)
    }
}

/// Which statuses a choice of the bar means.
pub(super) const fn statuses(chosen: &str) -> &'static [&'static str] {
    match chosen.as_bytes() {
        b"SUCCESS" => &["SUCCESS"],
        b"FAIL" => &["FAIL"],
        b"TIMEOUT" => &["TIMEOUT"],
        b"UNFINISHED" => &["INIT", "START", "DISPATCH"],
        _ => &[],
    }
}

/// The way to the other pages of a list.
pub(super) fn pager(info: PageInfo, address: &dyn Fn(u64) -> String, w: Words) -> Markup {
    let page = u64::from(info.current_page.max(1));
    let size = u64::from(info.page_size.max(1));
    let last = info.total_count.div_ceil(size).max(1);
    let from = (page - 1) * size + u64::from(info.count > 0);
    let to = (page - 1) * size + u64::from(info.count);
    html! {
        nav.pager aria-label=(w.page()) {
            @if page > 1 { a rel="prev" href=(address(page - 1)) { "‹ " (w.previous()) } }
            span { (from) "–" (to) " " (w.of()) " " (info.total_count) }
            @if page < last { a rel="next" href=(address(page + 1)) { (w.next()) " ›" } }
            @if last > 2 && page < last { a href=(address(last)) { (last) " »" } }
        }
    }
}

/// Something to copy, with a button.
pub(super) fn copyable(text: &str, w: Words) -> Markup {
    html! {
        div.copyable {
            pre tabindex="0" { code { (text) } }
            button type="button" data-copy="" data-done=(w.copied()) { (w.copy()) }
        }
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A value in a query string.
pub(super) fn encoded(value: &str) -> String {
    protocol::sign::canonical::encode(value)
}

/// An address with those parameters that are not empty.
pub(super) fn address(path: &str, params: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (name, value) in params.iter().filter(|(_, value)| !value.is_empty()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(name);
        address.push('=');
        address.push_str(&encoded(value));
    }
    address
}

#[cfg(test)]
mod tests {
    use model::Language;

    use super::*;

    #[test]
    fn the_bar_is_as_wide_as_there_are_leaves() {
        let counts = Counts {
            success: 7,
            fail: 2,
            timeout: 0,
            unfinished: 1,
        };
        let bar = counts.bar(Words(Language::English)).into_string();
        assert!(bar.contains(r#"viewBox="0 0 10 10""#), "{bar}");
        assert!(bar.contains(r#"class="fail" x="7" width="2""#), "{bar}");
        assert!(
            bar.contains(r#"class="unfinished" x="9" width="1""#),
            "{bar}"
        );
        assert!(bar.contains("7 succeeded, 2 failed, 1 unfinished"), "{bar}");
    }

    #[test]
    fn addresses_hold_what_is_given_and_nothing_else() {
        let address = address(
            "/console/tasks/1",
            &[("status", "FAIL"), ("page", ""), ("q", "a&b c")],
        );
        assert_eq!(address, "/console/tasks/1?status=FAIL&q=a%26b%20c");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
