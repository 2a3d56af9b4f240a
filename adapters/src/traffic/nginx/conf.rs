//! An nginx configuration file, as far as weights go: one `upstream` block with its servers, and one `map` that says which
//! shares they stand for. Both are changed where they stand.
//!
//! Syntax: <https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server>,
//! <https://nginx.org/en/docs/http/ngx_http_map_module.html#map>.

use std::{collections::BTreeMap, ops::Range};

use lastgood_core::Shares;

use crate::traffic::{
    shares::{percent, weights},
    text::edit,
};

/// A word, or one of `{`, `}`, `;`.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    at: Range<usize>,
}

/// A `server` line of the upstream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Server {
    pub address: String,
    /// 0: `down`.
    pub weight: u64,
    /// The places of `weight=…` and `down`.
    parameters: Vec<Range<usize>>,
    /// Where the line's `;` is.
    end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conf {
    pub servers: Vec<Server>,
    /// What the map says: `blue=100 green=0`.
    pub mark: String,
    mark_at: Range<usize>,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        match first {
            c if c.is_whitespace() => {}
            '#' => while rest.next_if(|(_, c)| *c != '\n').is_some() {},
            '{' | '}' | ';' => found.push(Token { text: first.to_string(), at: start..start + 1 }),
            '"' | '\'' => {
                let mut word = String::new();
                loop {
                    match rest.next() {
                        Some((at, c)) if c == first => {
                            found.push(Token { text: word, at: start..at + 1 });
                            break;
                        }
                        Some((_, '\\')) => word.extend(rest.next().map(|(_, c)| c)),
                        Some((_, c)) => word.push(c),
                        None => return Err("a quotation mark is never closed".to_owned()),
                    }
                }
            }
            _ => {
                let mut end = start + first.len_utf8();
                while let Some((at, c)) =
                    rest.next_if(|(_, c)| !c.is_whitespace() && !matches!(c, '{' | '}' | ';'))
                {
                    end = at + c.len_utf8();
                }
                found.push(Token {
                    text: text.get(start..end).unwrap_or_default().to_owned(),
                    at: start..end,
                });
            }
        }
    }
    Ok(found)
}

/// The tokens between the braces after `head`, and after how many heads were found.
fn block(tokens: &[Token], head: impl Fn(&[Token]) -> bool, size: usize) -> Option<&[Token]> {
    let start = tokens.windows(size + 1).position(|w| head(&w[..size]) && w[size].text == "{")?;
    let inside = tokens.get(start + size + 1..)?;
    let mut depth = 1_usize;
    let end = inside.iter().position(|token| {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    inside.get(..end)
}

/// `$lastgood_checkout`: letters, digits and underscores only.
pub(super) fn variable(upstream: &str) -> String {
    let name: String = upstream.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("$lastgood_{name}")
}

impl Conf {
    /// # Errors
    /// What is missing, or wrong.
    pub fn read(text: &str, upstream: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let servers = block(&tokens, |head| head[0].text == "upstream" && head[1].text == upstream, 2)
            .ok_or(format!("it has no upstream {upstream}"))?;
        let servers = servers.split_inclusive(|token| token.text == ";").filter_map(server).collect();
        let variable = variable(upstream);
        let advice = format!("add: map $host {variable} {{ default \"\"; }}");
        let map = block(&tokens, |head| head[0].text == "map" && head[2].text == variable, 3)
            .ok_or(format!("it has no map for {variable}; {advice}"))?;
        let default = map.windows(2).find(|pair| pair[0].text == "default");
        let default = default.ok_or(format!("the map for {variable} has no default; {advice}"))?;
        Ok(Self { servers, mark: default[1].text.clone(), mark_at: default[1].at.clone() })
    }

    /// The file with these shares, over servers by pool.
    pub fn write(&self, text: &str, pools: &BTreeMap<String, Vec<String>>, wanted: &Shares) -> String {
        let weights = weights(pools, wanted);
        let mut changes = vec![(self.mark_at.clone(), format!("\"{}\"", mark(wanted)))];
        for server in &self.servers {
            let Some(weight) = weights.get(server.address.as_str()) else { continue };
            // 0 is no weight that nginx takes.
            let new = if *weight == 0 { " down".to_owned() } else { format!(" weight={weight}") };
            for place in &server.parameters {
                // With the blank before it.
                changes.push((place.start - 1..place.end, String::new()));
            }
            changes.push((server.end..server.end, new));
        }
        edit(text, changes)
    }

    /// Who gets which share, and what is in no pool.
    pub fn shares(&self, pools: &BTreeMap<String, Vec<String>>) -> (Shares, Vec<String>) {
        let mut sums: BTreeMap<String, u64> = pools.keys().map(|pool| (pool.clone(), 0)).collect();
        let mut strange = Vec::new();
        for server in &self.servers {
            match pools.iter().find(|(_, members)| members.contains(&server.address)) {
                Some((pool, _)) => *sums.entry(pool.clone()).or_default() += server.weight,
                None if server.weight > 0 => {
                    strange.push(format!("server {} carries traffic and is in no pool", server.address));
                }
                None => {}
            }
        }
        (percent(sums), strange)
    }
}

fn server(line: &[Token]) -> Option<Server> {
    let [head, address, parameters @ .., end] = line else { return None };
    if head.text != "server" || end.text != ";" {
        return None;
    }
    let mut server =
        Server { address: address.text.clone(), weight: 1, parameters: Vec::new(), end: end.at.start };
    for parameter in parameters {
        if let Some(weight) = parameter.text.strip_prefix("weight=") {
            server.weight = if server.weight == 0 { 0 } else { weight.parse().ok()? };
            server.parameters.push(parameter.at.clone());
        } else if parameter.text == "down" {
            server.weight = 0;
            server.parameters.push(parameter.at.clone());
        }
    }
    Some(server)
}

/// `blue=90 green=10`.
pub(super) fn mark(shares: &Shares) -> String {
    shares.iter().map(|(pool, share)| format!("{pool}={share}")).collect::<Vec<_>>().join(" ")
}

/// What a mark says; none for a text that is no mark of these pools.
pub(super) fn marked(text: &str, pools: &BTreeMap<String, Vec<String>>) -> Option<Shares> {
    let read = |part: &str| {
        let (pool, share) = part.split_once('=')?;
        Some((pool.to_owned(), share.parse::<u8>().ok().filter(|share| *share <= 100)?))
    };
    let shares = text.split_whitespace().map(read).collect::<Option<Shares>>()?;
    pools.keys().eq(shares.keys()).then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\nupstream checkout {\n    zone checkout 64k;\n    server 10.0.0.1:80 max_fails=2; # first\n    server 10.0.0.2:80 weight=1;\n    server 10.0.0.3:80 down;\n    keepalive 32;\n}\nmap $host $lastgood_checkout { default \"blue=100 green=0\"; }\n";

    fn pools() -> BTreeMap<String, Vec<String>> {
        let of = |members: &[&str]| members.iter().map(|m| (*m).to_owned()).collect();
        [("blue".to_owned(), of(&["10.0.0.1:80", "10.0.0.2:80"])), ("green".to_owned(), of(&["10.0.0.3:80"]))]
            .into()
    }

    fn shares(blue: u8) -> Shares {
        [("blue".to_owned(), blue), ("green".to_owned(), 100 - blue)].into()
    }

    #[test]
    fn a_file_is_read_and_changed_in_place() {
        let conf = Conf::read(FILE, "checkout").unwrap();
        assert_eq!(conf.shares(&pools()), (shares(100), vec![]));
        assert_eq!(marked(&conf.mark, &pools()), Some(shares(100)));
        let canary = conf.write(FILE, &pools(), &shares(90));
        assert!(canary.contains("server 10.0.0.1:80 max_fails=2 weight=9; # first"), "{canary}");
        assert!(
            canary.contains("server 10.0.0.3:80 weight=2;") && canary.contains("keepalive 32;"),
            "{canary}"
        );
        let read = Conf::read(&canary, "checkout").unwrap();
        assert_eq!((read.shares(&pools()).0, read.mark.as_str()), (shares(90), "blue=90 green=10"));
        let back = read.write(&canary, &pools(), &shares(0));
        let read = Conf::read(&back, "checkout").unwrap();
        assert_eq!(read.shares(&pools()).0, shares(0));
        assert!(back.contains("server 10.0.0.2:80 down;"), "{back}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let of = |text: &str| Conf::read(text, "checkout").unwrap_err();
        assert!(of("upstream basket { }").contains("no upstream checkout"));
        assert!(of("upstream checkout { }").contains("map $host $lastgood_checkout"));
        assert!(of("upstream checkout { server \"a").contains("quotation"));
        assert!(of("upstream checkout { server a;").contains("no upstream"));
        assert_eq!(marked("blue=100", &pools()), None);
        assert_eq!(marked("blue=1000 green=0", &pools()), None);
    }
}
