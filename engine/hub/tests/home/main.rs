//! The truth about topics: numbers, what those who join are told, conflated variants, presence,
//! silence, bounds; and the whole against a naive reference.

mod attaching;
mod bounds;
mod compressed;
mod desk;
mod forgetting;
mod histories;
mod inheriting;
mod model;
mod notices;
mod patterns;
mod questions;
mod variants;
