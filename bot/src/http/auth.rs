//! Who calls, and what their token is good for. Everything is denied that no token allows.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use lastgood_core::Actor;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::Problem;
use crate::{
    app::App,
    config::{Http, May, Token},
};

/// A caller whose token was right.
#[derive(Debug, Clone)]
pub struct Caller(Token);

impl Caller {
    /// # Errors
    /// 403, with what the token may.
    pub fn must(&self, what: May) -> Result<(), Problem> {
        if self.0.may(what) {
            return Ok(());
        }
        let held: Vec<_> = self.0.may.iter().map(ToString::to_string).collect();
        let detail = format!(
            "token {:?} may {}; for this, add \"{what}\" to its `may` under http.tokens",
            self.0.name,
            held.join(", ")
        );
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    pub fn actor(&self) -> Actor {
        Actor::new(format!("token:{}", self.0.name), self.0.name.clone())
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        caller(&app.config.http, &parts.headers)
    }
}

/// What came in the `Authorization` header.
struct Presented {
    /// In basic authentication.
    name: Option<String>,
    secret: String,
}

fn caller(http: &Http, headers: &HeaderMap) -> Result<Caller, Problem> {
    if http.tokens.is_empty() {
        return Err(unauthorized(
            "no tokens are configured, so nobody may: add one under http.tokens, with name, secret and may",
        ));
    }
    let presented = presented(headers)?;
    let mut found = None;
    // All are compared, whichever fits: the time taken tells nothing.
    for token in &http.tokens {
        let named = presented.name.as_ref().is_none_or(|name| *name == token.name);
        if bool::from(same(&presented.secret, token.secret.reveal()) & Choice::from(u8::from(named))) {
            found = Some(Caller(token.clone()));
        }
    }
    found.ok_or_else(|| {
        unauthorized("no configured token has this secret (in basic authentication: and this name)")
    })
}

/// Hashes are compared, because they have the same length.
fn same(one: &str, other: &str) -> Choice {
    let hash = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
    hash(one).ct_eq(&hash(other))
}

fn presented(headers: &HeaderMap) -> Result<Presented, Problem> {
    let missing = || {
        unauthorized(
            "give a token: \"Authorization: Bearer SECRET\", or basic authentication with its name and secret",
        )
    };
    let header = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, rest) =
        header.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(missing)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        return Ok(Presented { name: None, secret: rest.to_owned() });
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = BASE64_STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((name, secret)) = decoded.as_deref().and_then(|text| text.split_once(':')) {
            return Ok(Presented { name: Some(name.to_owned()), secret: secret.to_owned() });
        }
    }
    Err(missing())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .with(header::WWW_AUTHENTICATE, "Bearer realm=\"lastgood\"")
        .with(header::WWW_AUTHENTICATE, "Basic realm=\"lastgood\", charset=\"UTF-8\"")
}
