//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

use super::asset::address;
use super::visitor::{Look, Visitor};
use super::words::Words;

/// A page of somebody who is signed in.
pub(super) fn page(visitor: &Visitor, title: &str, place: &str, content: Markup) -> Markup {
    let w = Words(visitor.look.language);
    let link = |path: &str, name: &str| {
        html! { li { a href=(path) aria-current=[(place == path).then_some("page")] { (name) } } }
    };
    document(
        visitor.look,
        title,
        html! {
            a.skip href="#content" { (w.skip()) }
            header.top {
                a.brand href="/console" { "Sickbay" }
                nav aria-label="Sickbay" {
                    ul {
                        (link("/console", w.overview()))
                        (link("/console/tasks", w.tasks()))
                        (link("/console/hosts", w.hosts()))
                        (link("/console/causes", w.causes()))
                        (link("/console/audit", w.audit()))
                    }
                }
                div.person {
                    a.button.primary href="/console/tasks/new" { (w.new_task()) }
                    (look_form(visitor.look, Some(&visitor.place)))
                    form method="post" action="/console/sign-out" {
                        input type="hidden" name="form_token" value=(visitor.form_token());
                        button.plain type="submit" { (w.sign_out()) " · " (visitor.name()) }
                    }
                }
            }
            main #content tabindex="-1" { (content) }
        },
    )
}

/// A page of somebody whom nobody knows.
pub(super) fn bare(look: Look, title: &str, content: Markup) -> Markup {
    document(
        look,
        title,
        html! {
            main.bare #content tabindex="-1" {
                p.brand { "Sickbay" }
                (content)
            }
        },
    )
}

/// Language and look. It changes nothing but cookies of this browser.
pub(super) fn look_form(look: Look, back: Option<&str>) -> Markup {
    let w = Words(look.language);
    let option = |value: &str, name: &str, chosen: bool| {
        html! { option value=(value) selected[chosen] { (name) } }
    };
    html! {
        form.look method="post" action="/console/look" data-submit-on-change="" {
            @if let Some(back) = back { input type="hidden" name="to" value=(back); }
            select name="language" aria-label=(w.language()) {
                @for language in model::Language::ALL {
                    (option(language.wire(), if language == model::Language::English { "English" } else { "中文" }, language == look.language))
                }
            }
            select name="theme" aria-label=(w.look()) {
                (option("", w.system_look(), look.theme.is_none()))
                (option("light", w.light(), look.theme == Some("light")))
                (option("dark", w.dark(), look.theme == Some("dark")))
            }
            noscript { button type="submit" { "OK" } }
        }
    }
}

fn document(look: Look, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(look.language.wire()) data-theme=[look.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(look.theme.unwrap_or("light dark"));
                meta name="htmx-config" content=r#"{"includeIndicatorCSS":false,"history":true,"extensions":"sse"}"#;
                title { (title) " · Sickbay" }
                link rel="icon" href=(address("icon.svg"));
                link rel="stylesheet" href=(address("console.css"));
                script src=(address("htmx.min.js")) defer {}
                script src=(address("hx-sse.min.js")) defer {}
                script src=(address("console.js")) defer {}
            }
            body { (body) }
        }
    }
}
