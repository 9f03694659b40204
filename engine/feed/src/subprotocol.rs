//! Which encoding a client and a server agree on (RFC 6455 §4.2.2, `Sec-WebSocket-Protocol`).

/// What the events with data of a connection look like. Control is JSON in text frames in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// JSON in text frames.
    #[default]
    Json,
    /// Records in binary frames: see [`binary`](crate::binary).
    Binary,
}

/// A subprotocol that this version speaks. The default is what is spoken when none is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subprotocol {
    /// `corecast.v1.json`.
    #[default]
    Json,
    /// `corecast.v1.bin`.
    Binary,
}

impl Subprotocol {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Json, Self::Binary];

    /// The name, as it stands in the header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "corecast.v1.json",
            Self::Binary => "corecast.v1.bin",
        }
    }

    /// The subprotocol of that name; upper and lower case differ.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What data looks like in it.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::Json => Encoding::Json,
            Self::Binary => Encoding::Binary,
        }
    }
}

/// The first of the client's offers that is known here: the client's order is its preference.
///
/// `None`: the answer names no subprotocol, and JSON is spoken (`unwrap_or_default`).
#[must_use]
pub fn negotiate<'a>(offered: impl IntoIterator<Item = &'a str>) -> Option<Subprotocol> {
    offered.into_iter().find_map(Subprotocol::from_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_first_known_offer_is_taken() {
        let binary = Some(Subprotocol::Binary);
        assert_eq!(negotiate(["corecast.v2.json", "corecast.v1.bin", "corecast.v1.json"]), binary);
        assert_eq!(negotiate(["corecast.v1.json", "corecast.v1.bin"]), Some(Subprotocol::Json));
        assert_eq!(negotiate(["mqtt", "CORECAST.V1.BIN"]), None);
        assert_eq!(negotiate([]).unwrap_or_default().encoding(), Encoding::Json);
    }
}
