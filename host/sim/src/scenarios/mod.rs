//! The scenarios, a file or a folder each. A scenario is a struct of its command line's arguments, with `run(&self, seed) -> Record`.

mod crowd;

pub mod attacks;
pub mod bench;
pub mod fairness;
pub mod find;
pub mod join;
pub mod life;
pub mod loops;
pub mod restart;
pub mod sanity;
pub mod scale;
pub mod seed_table;
