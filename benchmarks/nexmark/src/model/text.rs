//! Times and strings, in ways of the model's own.

/// `2015-07-15 00:00:00.000`
pub(super) fn time(millis: i64) -> String {
    let of_day = millis.rem_euclid(86_400_000);
    let (hours, rest) = (of_day / 3_600_000, of_day % 3_600_000);
    let (minutes, rest) = (rest / 60_000, rest % 60_000);
    format!("{} {hours:02}:{minutes:02}:{:02}.{:03}", day(millis), rest / 1000, rest % 1000)
}

/// `2015-07-15`, found by counting years and months from 1970 on.
pub(super) fn day(millis: i64) -> String {
    let mut days = millis.div_euclid(86_400_000);
    let is_leap = |year: i64| year % 400 == 0 || year % 4 == 0 && year % 100 != 0;
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < 0 {
            year -= 1;
            days += if is_leap(year) { 366 } else { 365 };
        } else if days >= length {
            year += 1;
            days -= length;
        } else {
            break;
        }
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

/// `00:00`
pub(super) fn minute(millis: i64) -> String {
    time(millis).split(' ').nth(1).map_or_else(String::new, |time| time.chars().take(5).collect())
}

/// The hour of the day.
pub(super) fn hour(millis: i64) -> i64 {
    millis.rem_euclid(86_400_000) / 3_600_000
}

/// A string in JSON. What the generator makes needs no escapes, but files can hold anything.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A price in euros, which has three decimals, of which JSON shows those that count.
pub(super) fn euros(cents: u64) -> String {
    let thousandths = cents * 908;
    let decimals = format!("{:03}", thousandths % 1000);
    let decimals = decimals.trim_end_matches('0');
    format!("{}.{}", thousandths / 1000, if decimals.is_empty() { "0" } else { decimals })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00.000");
        assert_eq!(time(951_827_696_789), "2000-02-29 12:34:56.789");
        assert_eq!(time(-1), "1969-12-31 23:59:59.999");
        assert_eq!(day(1_436_918_400_000), "2015-07-15");
        assert_eq!(day(1_483_228_799_999), "2016-12-31");
        assert_eq!(minute(1_436_918_400_000 + 3_599_999), "00:59");
        assert_eq!(hour(-1), 23);
    }

    #[test]
    fn euros_have_the_decimals_that_count() {
        assert_eq!([1000, 100, 1, 0].map(euros), ["908.0", "90.8", "0.908", "0.0"]);
    }
}
