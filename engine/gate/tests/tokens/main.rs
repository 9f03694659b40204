//! What a token cannot do: each row of these tables is a token or a key that must not be taken.

mod issuer;
mod matrix;
mod pems;
mod sets;
mod sources;
