//! What policies do that no cell of the table can express, as plain data. The values of [`Behaviours::PRODUCT`] are what the rules
//! of this crate demand.

/// All behaviours of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behaviours {
    /// How a program's BRK is delivered (M3), once the masks are what the table says.
    pub brk: Delivery,
    /// How the end of a program's step is delivered (M4, second phase).
    pub step: Delivery,
    /// How a program's hit of a slot is delivered (M4, second phase).
    pub hit: Delivery,
    /// Which interrupted contexts have their step set aside (M8, M9), where the table says that an interrupt stashes.
    pub stashes: Stashes,
    /// Whether the slots that a step-over has suspended are armed again while an interrupt's handler runs (M8). Otherwise they stay
    /// suspended, and the handler's hits of these slots are missed.
    pub rearms_for_interrupts: bool,
    /// When the way out of an interrupt may switch threads (M8).
    pub reschedules: Reschedules,
    /// Whether a thread's step is saved when the CPU switches to another thread (I5, I9). Otherwise MDSCR_EL1.SS stays as it is, and
    /// the step is made by whatever runs next.
    pub saves_steps: bool,
    /// Whether a context of EL1 runs with A, I and F masked while it is stepped. The masks are put in place when the step begins and
    /// put back to the saved ones when it ends, whatever the stepped instruction has done to them.
    pub masks_interrupts_in_steps: bool,
}

/// How a debug exception of a program is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whether preemption stays on.
    pub preemptible: bool,
    /// What is opened before the delivery, beside what the table opens.
    pub opens: Opens,
}

/// What is opened before a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Only what the table says.
    Nothing,
    /// I and F, but neither D nor A.
    Interrupts,
    /// D, A, I and F.
    All,
}

/// Which interrupted contexts have their step set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stashes {
    /// Those of which somebody has asked for a step.
    WithOwners,
    /// Those with SPSR_EL1.SS set. A step that is done but not yet reported has SPSR_EL1.SS clear (M13), and is not set aside.
    WithSpsrSs,
}

/// When the way out of an interrupt may switch threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reschedules {
    /// If no step is set aside.
    WithoutStash,
    /// If the interrupted context has SPSR_EL1.SS set, which is the wrong way round.
    WithSpsrSs,
}

impl Delivery {
    /// The delivery that the table describes.
    pub const BY_TABLE: Self = Self { preemptible: true, opens: Opens::Nothing };
}

impl Behaviours {
    /// The behaviours of the product.
    pub const PRODUCT: Self = Self {
        brk: Delivery::BY_TABLE,
        step: Delivery::BY_TABLE,
        hit: Delivery::BY_TABLE,
        stashes: Stashes::WithOwners,
        rearms_for_interrupts: true,
        reschedules: Reschedules::WithoutStash,
        saves_steps: true,
        masks_interrupts_in_steps: false,
    };
}
