//! Numbers as one line of text. A card has no room for a chart where it is read on a phone or in a terminal, and the one
//! question at a glance is always the same: is it below the limit, and which way is it going?

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where nothing was measured: never drawn as a low value, since no data is never good.
const GAP: char = '·';

/// Draws the last `width` values of a series, oldest first. With a limit, `┊` stands between the newest stretch that
/// keeps to it and what came before; nothing marks a series that is on one side all along.
///
/// The scale reaches from 0 to the largest value shown or the limit, whichever is more, so that a small wobble far below
/// the limit looks as small as it is.
pub fn sparkline(series: &[Option<f64>], limit: Option<f64>, width: usize) -> String {
    let shown = series.get(series.len().saturating_sub(width)..).unwrap_or_default();
    let limit = limit.filter(|limit| limit.is_finite() && *limit > 0.0);
    let values = || shown.iter().flatten().copied().filter(|value| value.is_finite());
    let top = values().chain(limit).fold(0.0, f64::max);
    let mark = limit.and_then(|limit| below_since(shown, limit));
    let mut line = String::with_capacity(shown.len() * 3 + 3);
    for (place, value) in shown.iter().enumerate() {
        if mark == Some(place) {
            line.push('┊');
        }
        line.push(value.filter(|value| value.is_finite()).map_or(GAP, |value| bar(value, top)));
    }
    line
}

/// Where the newest unbroken stretch within the limit begins, if it has a beginning inside the series.
fn below_since(shown: &[Option<f64>], limit: f64) -> Option<usize> {
    let last_bad =
        shown.iter().rposition(|value| value.is_none_or(|value| value.is_nan() || value > limit))?;
    (last_bad + 1 < shown.len()).then_some(last_bad + 1)
}

/// The character for a value between 0 and `top`. Zero is the lowest bar; anything else is at least the second, so that
/// "none" and "few" differ.
fn bar(value: f64, top: f64) -> char {
    let Some(highest) = BARS.len().checked_sub(1) else { return GAP };
    if value <= 0.0 || top <= 0.0 {
        return BARS.first().copied().unwrap_or(GAP);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the table below")]
    let step = (value / top * highest as f64).round() as usize;
    BARS.get(step.clamp(1, highest)).copied().unwrap_or(GAP)
}

/// A rate of 0 to 1 in per cent, with as many digits as a decision needs: `0 %`, `0.02 %`, `1.4 %`, `31 %`.
pub fn percent(rate: f64) -> String {
    if !rate.is_finite() {
        return "no data".to_owned();
    }
    let percent = rate * 100.0;
    match percent.abs() {
        zero if zero < 0.000_5 => "0 %".to_owned(),
        tiny if tiny < 0.01 => "< 0.01 %".to_owned(),
        small if small < 0.995 => format!("{} %", trimmed(&format!("{percent:.2}"))),
        few if few < 9.95 => format!("{} %", trimmed(&format!("{percent:.1}"))),
        _ => format!("{percent:.0} %"),
    }
}

/// Without zeros that say nothing.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// `█████▌····  55 %`: a share of 0 to 100 as a bar of `width` characters, drawn in half steps.
pub fn progress(share: u8, width: usize) -> String {
    let share = share.min(100);
    let halves = usize::from(share) * width * 2 / 100;
    let (full, half) = (halves / 2, halves % 2);
    format!("{}{}{} {share:>3} %", "█".repeat(full), "▌".repeat(half), "·".repeat(width - full - half))
}

/// `●●○○○ 2 of 5`: checks that were good in a row, of those needed.
pub fn checks(good: u32, needed: u32) -> String {
    let dots = |n: u32, dot: &str| dot.repeat(usize::try_from(n).unwrap_or_default());
    if needed > 12 {
        return format!("{good} of {needed}");
    }
    let good = good.min(needed);
    format!("{}{} {good} of {needed}", dots(good, "●"), dots(needed - good, "○"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn a_fall_below_the_limit_is_marked_where_it_happened() {
        let series = all(&[0.0, 0.31, 0.30, 0.32, 0.2, 0.1, 0.0, 0.002]);
        assert_eq!(sparkline(&series, Some(0.01), 20), "▁███▅▃┊▁▂");
        assert_eq!(sparkline(&series, None, 20), "▁███▅▃▁▂");
    }

    #[test]
    fn a_series_on_one_side_has_no_mark() {
        assert_eq!(sparkline(&all(&[0.3, 0.3]), Some(0.01), 20), "██");
        assert_eq!(sparkline(&all(&[0.0, 0.001]), Some(0.01), 20), "▁▂");
        assert_eq!(sparkline(&[], Some(0.01), 20), "");
    }

    #[test]
    fn a_wobble_far_below_the_limit_stays_small() {
        assert_eq!(sparkline(&all(&[0.001, 0.002, 0.001]), Some(0.1), 20), "▂▂▂");
    }

    #[test]
    fn missing_values_are_gaps_and_end_a_good_stretch() {
        let series = [Some(0.3), Some(0.0), None, Some(0.0), Some(f64::NAN), Some(0.0)];
        assert_eq!(sparkline(&series, Some(0.01), 20), "█▁·▁·┊▁");
    }

    #[test]
    fn only_the_newest_fit() {
        assert_eq!(sparkline(&all(&[1.0, 0.0, 0.5, 1.0]), None, 3), "▁▅█");
        assert_eq!(sparkline(&all(&[1.0]), None, 0), "");
    }

    #[test]
    fn percent_has_the_digits_that_matter() {
        let said =
            [0.0, 0.000_001, 0.000_05, 0.000_2, 0.005, 0.009_99, 0.014, 0.02, 0.0996, 0.307, 1.0, f64::NAN]
                .map(percent);
        assert_eq!(
            said,
            [
                "0 %", "0 %", "< 0.01 %", "0.02 %", "0.5 %", "1 %", "1.4 %", "2 %", "10 %", "31 %", "100 %",
                "no data"
            ]
        );
    }

    #[test]
    fn progress_always_takes_the_same_room() {
        assert_eq!(progress(0, 10), "··········   0 %");
        assert_eq!(progress(55, 10), "█████▌····  55 %");
        assert_eq!(progress(100, 10), "██████████ 100 %");
        assert_eq!(progress(250, 4), "████ 100 %");
    }

    #[test]
    fn checks_are_dots_while_they_can_be_counted() {
        assert_eq!(checks(2, 5), "●●○○○ 2 of 5");
        assert_eq!(checks(7, 3), "●●● 3 of 3");
        assert_eq!(checks(3, 60), "3 of 60");
    }
}
