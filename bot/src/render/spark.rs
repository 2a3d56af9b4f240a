//! Small pictures made of characters, for places where no image can be.

const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character per value, the limit being half of the height at least; `·` where there is no value.
pub fn sparkline(values: &[Option<f64>], limit: f64) -> String {
    let known = values.iter().flatten().copied().filter(|v| v.is_finite());
    let top = known.fold(limit * 2.0, f64::max);
    let step = |value: f64| {
        if !value.is_finite() || top <= 0.0 {
            return '·';
        }
        let share = (value / top).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let index = (share * 7.0).round() as usize;
        STEPS.get(index).copied().unwrap_or('█')
    };
    values.iter().map(|value| value.map_or('·', step)).collect()
}

/// A rate of 0 to 1 as people say it: `0.42 %`, `3.1 %`, `12 %`.
pub fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    match percent {
        p if !p.is_finite() => "not a number".to_owned(),
        0.0 => "0 %".to_owned(),
        p if p.abs() < 1.0 => format!("{p:.2} %"),
        p if p.abs() < 10.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A share of 0 to 100 as a bar of `width` characters.
pub fn bar(share: u8, width: usize) -> String {
    let full = (usize::from(share.min(100)) * width + 50) / 100;
    "█".repeat(full) + &"░".repeat(width.saturating_sub(full))
}
