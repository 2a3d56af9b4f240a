//! How long a release proved itself: live, alone, and quiet.

use crate::{At, Millis};

/// A stretch of time, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: At,
    pub to: At,
}

/// The longest uninterrupted stretch of `lived` that no `noise` (alert firing, rollback active, a second version serving)
/// touches. Stretches are not added up: ten quiet minutes in ten pieces prove nothing.
pub fn longest_quiet(lived: Span, noise: &[Span]) -> Millis {
    let mut noise: Vec<Span> =
        noise.iter().copied().filter(|n| n.from < lived.to && n.to > lived.from && n.from <= n.to).collect();
    noise.sort_by_key(|n| n.from);
    let mut quiet_from = lived.from;
    let mut longest = 0;
    for n in noise {
        longest = longest.max(n.from - quiet_from);
        quiet_from = quiet_from.max(n.to);
    }
    longest.max(lived.to - quiet_from).max(0)
}

/// The latest time, `before` or earlier, at the end of a stretch of `length` that no `noise` touches.
pub fn last_quiet(before: At, length: Millis, noise: &[Span]) -> At {
    let mut until = before;
    // Each round gets past one stretch of noise at least.
    for _ in 0..=noise.len() {
        let touched = noise.iter().filter(|n| n.from < until && n.to > until.saturating_sub(length));
        match touched.map(|n| n.from).min() {
            Some(from) => until = from,
            None => break,
        }
    }
    until
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: At, to: At) -> Span {
        Span { from, to }
    }

    #[test]
    fn noise_splits_a_life_and_the_longest_piece_counts() {
        let lived = span(0, 100);
        assert_eq!(longest_quiet(lived, &[]), 100);
        assert_eq!(longest_quiet(lived, &[span(40, 50)]), 50);
        assert_eq!(longest_quiet(lived, &[span(40, 90), span(45, 50)]), 40);
        assert_eq!(longest_quiet(lived, &[span(-10, 30), span(90, 200)]), 60);
        assert_eq!(longest_quiet(lived, &[span(-10, 200)]), 0);
        assert_eq!(longest_quiet(span(10, 10), &[]), 0);
        assert_eq!(longest_quiet(span(10, 5), &[]), 0);
    }

    #[test]
    fn a_quiet_stretch_is_looked_for_before_every_trouble() {
        assert_eq!(last_quiet(100, 10, &[]), 100);
        assert_eq!(last_quiet(100, 10, &[span(0, 90)]), 100);
        assert_eq!(last_quiet(100, 10, &[span(80, 91)]), 80);
        assert_eq!(last_quiet(100, 10, &[span(95, 200), span(80, 90), span(40, 50)]), 80);
        assert_eq!(last_quiet(100, 30, &[span(95, 200), span(60, 70), span(50, 65)]), 50);
        assert_eq!(last_quiet(100, 10, &[span(150, 200)]), 100, "later trouble says nothing of earlier");
    }
}
