//! The configurations for nginx and HAProxy under `tuning/`, each run by the real program: what
//! ships is what is tested, but for ports, paths and shorter times.

#![forbid(unsafe_code)]

mod a_client_hides_behind_the_proxy;
mod a_drain_refuses_somebody;
mod a_token_stands_in_a_log;
mod frames_do_not_pass;
mod idle_connections_are_cut;
mod ports_run_out;
mod proxy;
mod shipped;
mod the_wrong_client_is_named;
mod tls_does_not_go_through;
mod tunnel;
mod two;

use eyre::Result;
use proxy::Kind;

/// Does this with the program, where it can be run.
fn with(kind: Kind, test: impl FnOnce(Kind) -> Result<()>) -> Result<()> {
    if kind.is_installed()? { test(kind) } else { Ok(()) }
}
