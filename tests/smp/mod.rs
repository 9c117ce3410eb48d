//! x
crate::suite!("smp": );
