//! Classification, simulation and out-of-line execution of A64 instructions for probes.
#![cfg_attr(not(test), no_std)]
