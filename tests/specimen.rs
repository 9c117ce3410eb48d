//! How the tests write the functions in assembly that they probe, break into and step.

/// Functions that consist of the given instructions only, each called as `extern "C"`. The compiler adds no prologue and no
/// epilogue, so a test can count instructions. Attributes, `pub` and the operands of `naked_asm!` are written as usual.
macro_rules! specimen {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident $parameters:tt $(-> $result:ty)? { $($body:tt)* })+) => {$(
        $(#[$attribute])*
        #[unsafe(naked)]
        $visibility extern "C" fn $name $parameters $(-> $result)? {
            ::core::arch::naked_asm!($($body)*)
        }
    )+};
}
