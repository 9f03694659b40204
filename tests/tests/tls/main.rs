//! TLS with the real program: what a client of another make sees, and what an attacker.
//!
//! The files are named by what one fears.

mod a_page_takes_plain_for_secure;
mod a_refused_client_gets_a_handshake;
mod a_reload_drops_somebody;
mod a_session_is_signed_for_again;
mod a_slow_reader_gets_other_bytes;
mod a_stranger_comes_in;
mod an_upgrade_refuses_somebody;
mod client;
mod files;
mod handshakes_stall_the_server;
mod messages_do_not_pass;
mod server;
mod the_end_is_not_told;
mod the_wrong_certificate_is_shown;
