//! Tests of the rules one by one, of the wait protocol in all orders, and of random operations.

mod fair;
mod hand_over;
mod invariants;
mod locks;
mod place;
mod random;
mod rig;
mod run;
mod wait;
