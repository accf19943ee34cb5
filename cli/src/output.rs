//! What commands print: data on standard output, everything else on standard error.

use serde::Serialize;

/// Prints `value` as JSON on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A point in time as Flink's listings write it, in local time: `20.11.2026 15:09:55`.
pub fn local_time(epoch_ms: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(epoch_ms) else { return "-".into() };
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%d.%m.%Y %H:%M:%S").to_string()
}

/// A count for people: `1.2 M`.
pub fn count(number: f64) -> String {
    const UNITS: [&str; 4] = ["", " k", " M", " G"];
    let mut number = number;
    let mut unit = 0;
    while number >= 10_000.0 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number:.0}") } else { format!("{number:.1}{}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(9_999.0), "9999");
        assert_eq!(count(12_345.0), "12.3 k");
        assert_eq!(count(124_000_000.0), "124.0 M");
    }
}
