//! How the tests write the functions in assembly that they probe, break into and step.

/// Functions of nothing but the given instructions, each called as `extern "C"`: no prologue or epilogue of the compiler's is in the
/// way of a test that counts instructions. Attributes, `pub` and the operands of `naked_asm!` are written as usual.
macro_rules! specimen {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident $parameters:tt $(-> $result:ty)? { $($body:tt)* })+) => {$(
        $(#[$attribute])*
        #[unsafe(naked)]
        $visibility extern "C" fn $name $parameters $(-> $result)? {
            ::core::arch::naked_asm!($($body)*)
        }
    )+};
}
