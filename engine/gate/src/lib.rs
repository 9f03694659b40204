//! Who may come in, and how much they may do: pure decisions on what a peer has sent.
//!
//! No I/O, and no clock: time is passed in. What a decision needs to know of the outside (keys,
//! addresses) is given to it; who fetches and who refuses stands elsewhere.
//!
//! - [`Origins`]: which pages may open a connection.
//! - [`Credential`]: the token in a request, wherever it stands.
//! - `token` (feature `tokens`): from a token to an [`Identity`], with the `keys` of its issuer.
//! - [`Permissions`]: the topics that somebody may subscribe to, publish to, and ask about.
//! - [`Denied`]: why not, in words fit for a client.
//! - [`budget`]: connections of an address and of a user, messages and bytes of a connection.
//! - [`network`]: networks as settings name them.
//! - [`proxy`]: what proxies say of a client's address.
//! - [`limits`]: every bound; those of budgets stand in `budget::limits`.

#![forbid(unsafe_code)]

pub mod budget;
pub mod credential;
mod denied;
mod identity;
#[cfg(feature = "tokens")]
pub mod keys;
pub mod limits;
pub mod network;
pub mod origin;
pub mod permission;
pub mod proxy;
#[cfg(feature = "tokens")]
pub mod token;

pub use credential::{Credential, CredentialConfig};
pub use denied::Denied;
pub use identity::Identity;
#[cfg(feature = "tokens")]
pub use keys::{Algorithm, KeySet};
pub use origin::{OriginDenied, Origins};
pub use permission::{Permissions, Rights, Verb};
#[cfg(feature = "tokens")]
pub use token::{Source, TokenRules, Verifier};
