//! The router as a whole: networks of real routers on a virtual clock, and one router among neighbours that lie.

mod alike;
mod ends;
mod floods;
mod hidden;
mod hostile;
mod letters;
mod life;
mod lone;
mod network;
mod paths;
mod recovery;
mod walks;
