//! `GET /rollbacks/{id}`: where a page's link leads. Plain HTML that works on a telephone at night, without scripts;
//! everything in it is escaped.

use std::fmt::Write as _;

use axum::{
    extract::{Path, State},
    http::header,
    response::{Html, IntoResponse},
};

use super::{Problem, auth::Caller, rollbacks};
use crate::{
    app::App,
    clock::rfc3339,
    config::May,
    store::rollbacks::{Committed, Saved},
};

/// Nothing is loaded from anywhere, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    caller.must(May::Read)?;
    let (saved, events) = rollbacks::load(&app, &id).await?;
    Ok(([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page(&saved, &events))))
}

fn page(saved: &Saved, events: &[Committed]) -> String {
    let state = &saved.state;
    let title = format!("{}: {}, {}", state.id, state.service, state.phase.word());
    let mut facts = vec![("opened", rfc3339(state.opened_at))];
    facts.extend(
        state.failing().map(|failing| {
            ("failing", format!("{} ({})", failing.artifact, failing.artifact.digest.short()))
        }),
    );
    facts.extend(state.target().map(|target| ("target", format!("{target} ({})", target.digest.short()))));
    facts.extend(state.alert.as_ref().map(|alert| ("alert", alert.title.clone())));
    facts.extend(state.commander.as_ref().map(|commander| ("commander", commander.to_string())));
    facts.extend(state.ended_at.map(|at| ("ended", rfc3339(at))));
    let title = escape(&title);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body{{font:16px/1.4 sans-serif;max-width:60em;margin:1em auto;padding:0 1em}}\
         pre{{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}}th{{text-align:left;padding-right:1em}}\
         td{{padding:.3em 1em .3em 0;vertical-align:top}}</style><h1>{title}</h1><table>"
    );
    // Writing to a string can't fail.
    for (name, text) in facts {
        write!(html, "<tr><th>{name}</th><td>{}</td></tr>", escape(&text)).ok();
    }
    html.push_str("</table><h2>What happened</h2><table>");
    for event in events {
        let body = serde_json::to_string(&event.event).unwrap_or_default();
        write!(
            html,
            "<tr><td>{}</td><td>{}</td><td><pre>{}</pre></td></tr>",
            escape(&rfc3339(event.at)),
            escape(event.event.kind()),
            escape(&body)
        )
        .ok();
    }
    html.push_str("</table></html>");
    html
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_foreign_becomes_markup() {
        assert_eq!(super::escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
