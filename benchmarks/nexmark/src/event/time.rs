//! Timestamps, days and minutes.
//!
//! All of them are plain numbers, and text only for people: `2015-07-15 00:00:00.000`, `2015-07-15` and `00:00`, which
//! is how SQL engines write and read them. There are no time zones.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// Days since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

/// Minutes of a day, below 1440.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u16);

impl Time {
    /// The day it lies in.
    #[inline]
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_MS))
    }

    /// Its minute of the day.
    #[inline]
    pub fn minute(self) -> Minute {
        Minute((self.of_day() / MINUTE_MS as u32) as u16)
    }

    /// Its hour of the day.
    #[inline]
    pub fn hour(self) -> u32 {
        self.of_day() / (60 * MINUTE_MS as u32)
    }

    /// Milliseconds of the day.
    #[inline]
    fn of_day(self) -> u32 {
        self.0.rem_euclid(DAY_MS) as u32
    }
}

/// Puts `number` into all of `digits`, in decimal.
#[inline]
fn put(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[inline]
fn text<const LENGTH: usize>(digits: &Option<[u8; LENGTH]>) -> Option<&str> {
    digits.as_ref().and_then(|digits| str::from_utf8(digits).ok())
}

/// What is written, where it has the usual length: by `Display`'s own means it takes longer than all else that a row of a file
/// needs.
impl Time {
    #[inline]
    fn digits(self) -> Option<[u8; 23]> {
        let (of_day, mut text) = (self.of_day(), *b"0000-00-00 00:00:00.000");
        text[..10].copy_from_slice(&self.day().digits()?);
        text[11..16].copy_from_slice(&self.minute().digits()?);
        put(&mut text[17..19], of_day / 1000 % 60);
        put(&mut text[20..], of_day % 1000);
        Some(text)
    }
}

impl Day {
    #[inline]
    fn digits(self) -> Option<[u8; 10]> {
        let (year, month, day) = self.date();
        let (year, mut text) = (u32::try_from(year).ok().filter(|year| *year < 10_000)?, *b"0000-00-00");
        put(&mut text[..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..], day);
        Some(text)
    }

    /// Year, month and day of the month, by the algorithm `civil_from_days` of Howard Hinnant,
    /// <https://howardhinnant.github.io/date_algorithms.html>.
    #[inline]
    fn date(self) -> (i64, u32, u32) {
        // Four eras and 135,080 days lie between the beginning of an era and 1970; added up so that no day overflows.
        let day = self.0.rem_euclid(146_097) + 135_080;
        let era = self.0.div_euclid(146_097) + 4 + day / 146_097;
        let day_of_era = day % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Years begin in March here, so that the leap day is the last.
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
    }
}

impl Minute {
    #[inline]
    fn digits(self) -> Option<[u8; 5]> {
        let (hour, mut text) = (u32::from(self.0 / 60), *b"00:00");
        put(&mut text[..2], hour);
        put(&mut text[3..], u32::from(self.0 % 60));
        (hour < 100).then_some(text)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_day = self.of_day();
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{} {hours:02}:{minutes:02}:{seconds:02}.{millis:03}", self.day())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = text(&self.digits()) {
            return f.write_str(text);
        }
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = text(&self.digits()) {
            return f.write_str(text);
        }
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// The number that `digits` write, and nothing else.
fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number: i64, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn day_of(text: &[u8]) -> Option<Day> {
    let &[ref year @ .., b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let (year, month, day) = (number(year).filter(|_| year.len() == 4)?, number(&[m1, m2])?, number(&[d1, d2])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=length).contains(&day) {
        return None;
    }
    // `days_from_civil`, the way back.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * if month > 2 { month - 3 } else { month + 9 } + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(Day(era * 146_097 + day_of_era - 719_468))
}

fn minute_of(text: &[u8]) -> Option<Minute> {
    let &[h1, h2, b':', m1, m2] = text else { return None };
    let (hour, minute) = (number(&[h1, h2])?, number(&[m1, m2])?);
    (hour < 24 && minute < 60).then_some(Minute((hour * 60 + minute) as u16))
}

fn time_of(text: &[u8]) -> Option<Time> {
    let (day, rest) = text.split_at_checked(10)?;
    let &[b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.', f1, f2, f3] = rest else { return None };
    let minute = minute_of(&[h1, h2, b':', m1, m2])?;
    let (second, millis) = (number(&[s1, s2]).filter(|second| *second < 60)?, number(&[f1, f2, f3])?);
    Some(Time(day_of(day)?.0 * DAY_MS + i64::from(minute.0) * MINUTE_MS + second * 1000 + millis))
}

/// Text for people, the number otherwise.
macro_rules! text_or_number {
    ($type:ident($number:ty), $visitor:ident, $deserialize:ident, $parse:ident, $form:literal) => {
        impl Serialize for $type {
            #[inline]
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if !serializer.is_human_readable() {
                    return self.0.serialize(serializer);
                }
                match text(&self.digits()) {
                    Some(text) => serializer.serialize_str(text),
                    None => serializer.collect_str(self),
                }
            }
        }

        struct $visitor;

        impl de::Visitor<'_> for $visitor {
            type Value = $type;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($form)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                $parse(text.as_bytes()).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                let own = <$number>::try_from(number);
                own.map($type).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                let own = <$number>::try_from(number);
                own.map($type).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            #[inline]
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_any($visitor)
                } else {
                    <$number>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

text_or_number!(Time(i64), TimeVisitor, deserialize_i64, time_of, "a time as 2015-07-15 00:00:00.000, or milliseconds");
text_or_number!(Day(i64), DayVisitor, deserialize_i64, day_of, "a day as 2015-07-15, or days since 1970");
text_or_number!(Minute(u16), MinuteVisitor, deserialize_u16, minute_of, "a minute of the day as 00:00");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(millis: i64, text: &str) {
        assert_eq!(Time(millis).to_string(), text);
        assert_eq!(time_of(text.as_bytes()), Some(Time(millis)));
    }

    #[test]
    fn times_are_written_as_sql_does() {
        check(0, "1970-01-01 00:00:00.000");
        check(1_436_918_400_000, "2015-07-15 00:00:00.000");
        check(951_827_696_789, "2000-02-29 12:34:56.789");
        check(-1, "1969-12-31 23:59:59.999");
        check(253_402_300_799_999, "9999-12-31 23:59:59.999");
    }

    #[test]
    fn all_times_can_be_written() {
        assert_eq!(Time(i64::MAX).to_string(), "292278994-08-17 07:12:55.807");
        assert_eq!(Time(i64::MIN).to_string(), "-292275055-05-16 16:47:04.192");
        assert_eq!(Day(i64::MAX).to_string().len(), "25252734927766554-07-27".len());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2015-02-29 00:00:00.000", "2015-07-15", "2015-07-15 24:00:00.000", "+015-07-15 00:00:00.000"]
        {
            assert_eq!(time_of(text.as_bytes()), None, "{text}");
        }
        let error = serde_json::from_str::<Time>("\"yesterday\"").unwrap_err();
        assert!(error.to_string().contains("a time as 2015-07-15 00:00:00.000"), "{error}");
        assert!(serde_json::from_str::<Minute>("70000").is_err());
    }

    #[test]
    fn parts_of_a_day() {
        let time = Time(1_436_918_400_000 + 13 * 3_600_000 + 59 * 60_000 + 59_999);
        assert_eq!(
            (time.day().to_string(), time.minute().to_string(), time.hour()),
            ("2015-07-15".into(), "13:59".into(), 13)
        );
        assert_eq!((Time(-1).day(), Time(-1).minute(), Time(-1).hour()), (Day(-1), Minute(1439), 23));
    }

    proptest! {
        #[test]
        fn times_are_read_back(millis in -62_167_219_200_000i64..253_402_300_800_000) {
            let time = Time(millis);
            prop_assert_eq!(time_of(time.to_string().as_bytes()), Some(time));
            prop_assert_eq!(day_of(time.day().to_string().as_bytes()), Some(time.day()));
            prop_assert_eq!(minute_of(time.minute().to_string().as_bytes()), Some(time.minute()));
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        }
    }
}
