//! `[origin]`: which pages may connect.

use corecast_gate::origin::OriginRules;
use serde::{Deserialize, Serialize};

/// Which pages may connect. Programs send no `Origin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OriginConfig {
    /// Origins such as `https://app.example.com`; `*` alone: any.
    pub(crate) allow: Vec<String>,
    /// Whether pages of the server itself may connect.
    pub(crate) same: bool,
    /// What the server itself is called; none: addresses and `localhost`.
    pub(crate) hosts: Vec<String>,
    /// Whether who sends no `Origin` may connect.
    pub(crate) absent: bool,
}

impl Default for OriginConfig {
    fn default() -> Self {
        let OriginRules { allow, same, hosts, absent } = OriginRules::default();
        Self { allow, same, hosts, absent }
    }
}

impl OriginConfig {
    /// The rules as the gate takes them.
    pub(crate) fn rules(&self) -> OriginRules {
        let Self { allow, same, hosts, absent } = self.clone();
        OriginRules { allow, same, hosts, absent }
    }
}
