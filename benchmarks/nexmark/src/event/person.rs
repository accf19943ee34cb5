//! People.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Text, Time};

/// Somebody who sells or bids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// No two people have the same.
    pub id: u64,
    /// When they entered the system.
    pub date_time: Time,
    /// Name, mail address, credit card, city, state, and what fills the record up.
    pub(crate) text: Text<5>,
}

impl Person {
    /// A person with name, mail address, credit card, city and state.
    pub fn new(id: u64, strings: [&str; 5], date_time: Time, extra: &str) -> Self {
        Self { id, date_time, text: Text::new(strings, extra) }
    }

    /// First and last name.
    pub fn name(&self) -> &str {
        self.text.part(0)
    }

    /// Where mail gets to them.
    pub fn email_address(&self) -> &str {
        self.text.part(1)
    }

    /// Four groups of four digits.
    pub fn credit_card(&self) -> &str {
        self.text.part(2)
    }

    /// Where they live.
    pub fn city(&self) -> &str {
        self.text.part(3)
    }

    /// Two letters.
    pub fn state(&self) -> &str {
        self.text.part(4)
    }

    /// What fills the record up.
    pub fn extra(&self) -> &str {
        self.text.part(5)
    }
}

/// For people.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Person", rename_all = "camelCase")]
struct Row<'a> {
    id: u64,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    email_address: Cow<'a, str>,
    #[serde(borrow)]
    credit_card: Cow<'a, str>,
    #[serde(borrow)]
    city: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    date_time: Time,
    #[serde(borrow)]
    extra: Cow<'a, str>,
}

/// Between processes.
#[derive(Serialize, Deserialize)]
struct Compact<T> {
    id: u64,
    date_time: Time,
    text: T,
}

impl Serialize for Person {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, date_time, ref text } = *self;
        if serializer.is_human_readable() {
            let [name, email_address, credit_card, city, state, extra] =
                std::array::from_fn(|index| Cow::Borrowed(text.part(index)));
            Row { id, name, email_address, credit_card, city, state, date_time, extra }.serialize(serializer)
        } else {
            Compact { id, date_time, text }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Person {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let Row { id, name, email_address, credit_card, city, state, date_time, extra } =
                Row::deserialize(deserializer)?;
            Ok(Self::new(id, [&name, &email_address, &credit_card, &city, &state], date_time, &extra))
        } else {
            let Compact { id, date_time, text } = Compact::deserialize(deserializer)?;
            Ok(Self { id, date_time, text })
        }
    }
}
