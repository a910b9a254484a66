//! The scheduler as its users see it.

mod bounds;
mod classes;
mod delay;
mod fairness;
mod order;
mod tools;
