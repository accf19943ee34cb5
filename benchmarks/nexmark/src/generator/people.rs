//! Names and places of people. States and cities are few, so that queries which ask for some find them.

use super::{ascii::Ascii, letters, random::Random};

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// Writes the strings of a person but the last to the front of `room`: name, mail address, credit card, city and state.
/// Gives where each ends.
pub(super) fn write<const N: usize>(random: &mut Random, room: &mut Ascii<N>) -> [usize; 5] {
    let first_name = room.put_text(0, random.one_of(&FIRST_NAMES));
    let blank = room.put_text(first_name, " ");
    let name = room.put_text(blank, random.one_of(&LAST_NAMES));
    let user = letters::words(random, 7, b' ', name, room);
    let sign = room.put_text(user, "@");
    let provider = letters::words(random, 5, b' ', sign, room);
    let mail = room.put_text(provider, ".com");
    room.put(mail, &credit_card(random));
    let card = mail + CARD_BYTES;
    // The city need not lie in the state.
    let city = room.put_text(card, random.one_of(&CITIES));
    let state = room.put_text(city, random.one_of(&STATES));
    [name, mail, card, city, state]
}

const CARD_BYTES: usize = 19;

/// Four groups of four digits.
fn credit_card(random: &mut Random) -> Ascii<CARD_BYTES> {
    let mut card = *b"0000 0000 0000 0000";
    for group in card.chunks_mut(5) {
        let mut number = random.below(10_000) as u32;
        for digit in group[..4].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    Ascii::of(&card)
}
