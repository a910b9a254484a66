//! Hostile input: every decoder and the router itself, over a kept corpus, random bytes and mutations.

mod decoders;
mod round_trips;
mod router;
