//! Tokens by the program itself: `corecast token`.

#![forbid(unsafe_code)]

mod command;
mod issuer;
