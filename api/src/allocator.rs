//! The memory allocator of a program.

/// Makes mimalloc the program's allocator. It is faster than the system's where records own memory, and a library must
/// not choose for a program; so each program says it once, in its `main.rs`:
///
/// ```
/// flott::allocator!();
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! allocator {
    () => {
        #[global_allocator]
        static FLOTT_ALLOCATOR: $crate::__private::MiMalloc = $crate::__private::MiMalloc;
    };
}

/// What the macro needs.
pub mod private {
    pub use mimalloc::MiMalloc;
}
