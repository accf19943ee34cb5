//! Names and places of people. States and cities are few, so that queries which ask for some find them.

use super::{ascii, letters, random::Random};

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

pub(super) fn state(random: &mut Random) -> &'static str {
    random.one_of(&STATES)
}

/// It need not lie in the state.
pub(super) fn city(random: &mut Random) -> &'static str {
    random.one_of(&CITIES)
}

/// First and last name, put together in `room`.
pub(super) fn name<'a>(random: &mut Random, room: &'a mut [u8]) -> &'a str {
    join([random.one_of(&FIRST_NAMES), " ", random.one_of(&LAST_NAMES)], room)
}

/// Two words at a mail provider, put together in `room`.
pub(super) fn email_address<'a>(random: &mut Random, room: &'a mut [u8]) -> &'a str {
    let (mut user, mut host) = ([0; 8], [0; 8]);
    let user = letters::words(random, 7, b' ', &mut user);
    let host = letters::words(random, 5, b' ', &mut host);
    join([user, "@", host, ".com"], room)
}

/// Four groups of four digits, put together in `room`.
pub(super) fn credit_card<'a>(random: &mut Random, room: &'a mut [u8; 64]) -> &'a str {
    const LENGTH: usize = 19;
    room[..LENGTH].fill(b' ');
    for group in room[..LENGTH].chunks_mut(5) {
        let mut number = random.below(10_000);
        for digit in group[..4].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    ascii::text(room, LENGTH)
}

/// `parts` one after the other, as far as there is room.
fn join<'a, const N: usize>(parts: [&str; N], room: &'a mut [u8]) -> &'a str {
    let mut length = 0;
    for (byte, place) in parts.iter().flat_map(|part| part.bytes()).zip(&mut *room) {
        *place = byte;
        length += 1;
    }
    ascii::text(room, length)
}
