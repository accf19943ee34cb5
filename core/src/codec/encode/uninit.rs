//! The one unsafe line of the codec: declaring the spare room of a vector, once written, its content.
//!
//! The safe ways are to append each field ([`encode`](super) says what that costs) or to fill the spare room with zeros
//! first, which writes everything twice. The safe twin, to which tests compare this, is in `codec/tests/twin.rs`.

#![expect(unsafe_code, reason = "see the module's documentation")]

use serde::ser::Serialize;

use super::Stop;
use super::window::Window;

/// Appends as many of `values` as fit, and returns how many those are, and why not all.
#[inline(always)]
pub(super) fn append_within_capacity<T: Serialize>(values: &[T], out: &mut Vec<u8>) -> (usize, Result<(), Stop>) {
    let (mut done, mut result) = (0, Ok(()));
    let spare = out.spare_capacity_mut();
    let room = spare.len();
    let (mut window, mut left) = (Window::new(spare), room);
    for value in values {
        match value.serialize(window) {
            Ok(rest) => {
                left = rest.len();
                window = rest.into_window();
                done += 1;
            }
            Err(stop) => {
                result = Err(stop);
                break;
            }
        }
    }
    let written = room - left;
    // SAFETY: a `Window` only ever gets shorter from the front, each byte that it loses has been written before, and the
    // slice inside cannot be had but by `serialize` of a window that was made here or is a rest of it: a value's own
    // `Serialize` can neither make a `Window` nor keep one, as it does not know its type. After an error a compound
    // holds no window, so a `Serialize` that goes on regardless cannot end it. `left` is what the last value without an
    // error left. So the first `written` bytes of the spare capacity, `written <= room`, are initialised.
    unsafe { out.set_len(out.len() + written) };
    (done, result)
}
