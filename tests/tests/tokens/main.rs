//! Tokens by the program itself: `corecast token`, and a server whose issuer changes his keys, goes
//! away and comes back.

#![forbid(unsafe_code)]

mod algorithms;
mod command;
mod issuer;
mod keys_change;
mod over_tls;
mod settings_change;
