//! The scenarios, a file each. A scenario is a struct of its command line's arguments, with `run(&self, seed) -> Record`.

pub mod attacks;
pub mod bench;
pub mod fairness;
pub mod join;
pub mod loops;
pub mod sanity;
