//! Settings that are texts in the file and something better in the struct; `""` is none.

/// `"127.0.0.1:9002"`.
pub(super) mod address {
    use crate::cli::values;
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::net::SocketAddr;

    pub(in crate::config) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = address.map_or_else(String::new, |address| address.to_string());
        serializer.serialize_str(&text)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        values::listen(&text).map(Some).map_err(de::Error::custom)
    }
}

/// `"run/corecast.sock"`.
pub(super) mod path {
    use crate::config::limits::UNIX_PATH_BYTES_MAX;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};
    use std::path::PathBuf;

    pub(in crate::config) fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = path.as_deref().map_or(Some(""), |path| path.to_str());
        serializer.serialize_str(text.ok_or_else(|| ser::Error::custom("the path is not UTF-8"))?)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > UNIX_PATH_BYTES_MAX || text.contains('\0') {
            let message =
                format!("the path of a Unix socket has at most {UNIX_PATH_BYTES_MAX} bytes");
            return Err(de::Error::custom(message));
        }
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }
}

/// `"secrets/admin.token"`.
pub(super) mod file {
    pub(in crate::config) use super::path::serialize;
    use crate::config::limits::PATH_BYTES_MAX;
    use serde::{Deserialize, Deserializer, de};
    use std::path::PathBuf;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > PATH_BYTES_MAX || text.contains('\0') {
            let message = format!("the path of a file has at most {PATH_BYTES_MAX} bytes");
            return Err(de::Error::custom(message));
        }
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }
}
