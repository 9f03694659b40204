//! TLS with the real program: what a client of another make sees, and what an attacker.
//!
//! The files are named by what one fears.

mod a_refused_client_gets_a_handshake;
mod client;
mod files;
mod messages_do_not_pass;
mod server;
