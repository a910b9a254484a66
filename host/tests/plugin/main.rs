//! The plugin host with real components, well-behaved and hostile.

mod calls;
mod folders;
mod harness;
mod life;
mod limits;
mod network;
mod swap;
