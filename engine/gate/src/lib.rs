//! Who may come in, and how much they may do: pure decisions on what a peer has sent.
//!
//! No I/O, and no clock: time is passed in. What a decision needs to know of the outside (keys,
//! addresses) is given to it; who fetches and who refuses stands elsewhere.

#![forbid(unsafe_code)]
