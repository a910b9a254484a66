//! The neighbour policy: each rule with the rule switched off beside it, and all of them under random events.

mod change;
mod exchange;
mod places;
mod properties;
mod world;
