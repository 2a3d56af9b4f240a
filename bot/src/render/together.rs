//! Several services in trouble at once.

use lastgood_core::{
    ServiceId,
    card::{Card, Colour},
};

use super::words::fit;

/// One card for all of them.
pub fn together(services: &[ServiceId]) -> Card {
    let names: Vec<_> = services.iter().map(|service| service.0.clone()).collect();
    let title = format!("{} services alert at once: a shared cause is likely", names.len());
    fit(Card::new(Colour::Warning, title)
        .line(names.join(", "))
        .line("Before rolling each of them back, look at what they share: network, database, a dependency, a node.")
        .line("Each has its own thread; nothing moves there without a decision."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_them_all_and_says_what_to_look_at() {
        let card = together(&["a".into(), "b".into(), "c".into(), "d".into()]);
        assert!(card.title.starts_with("4 services"));
        assert!(card.plain().contains("a, b, c, d"));
    }
}
