//! Names and places of people. States and cities are few, so that queries which ask for some find them.

use super::{ascii::Ascii, letters, random::Random};

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// Room for what is put together here.
pub(super) type Room = Ascii<24>;

pub(super) fn state(random: &mut Random) -> &'static str {
    random.one_of(&STATES)
}

/// It need not lie in the state.
pub(super) fn city(random: &mut Random) -> &'static str {
    random.one_of(&CITIES)
}

/// First and last name, put together in `room`.
pub(super) fn name<'a>(random: &mut Random, room: &'a mut Room) -> &'a str {
    join([random.one_of(&FIRST_NAMES), " ", random.one_of(&LAST_NAMES)], room)
}

/// Two words at a mail provider, put together in `room`.
pub(super) fn email_address<'a>(random: &mut Random, room: &'a mut Room) -> &'a str {
    let (user, host) = (letters::words(random, 7, b' '), letters::words(random, 5, b' '));
    join([user.as_str().trim(), "@", host.as_str().trim(), ".com"], room)
}

/// Four groups of four digits, put together in `room`.
pub(super) fn credit_card<'a>(random: &mut Random, room: &'a mut Room) -> &'a str {
    let mut card = *b"0000 0000 0000 0000";
    for group in card.chunks_mut(5) {
        let mut number = random.below(10_000);
        for digit in group[..4].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    room.put(0, &Ascii::of(&card));
    room.text(card.len())
}

fn join<'a, const N: usize>(parts: [&str; N], room: &'a mut Room) -> &'a str {
    let end = parts.iter().fold(0, |end, part| room.put_text(end, part));
    room.text(end)
}
