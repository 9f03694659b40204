//! Header fields of a head, found by name without regard to case.

use super::HandshakeError;

/// The header fields of one head, in order, borrowed from it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields<'h> {
    fields: Vec<(&'h str, &'h str)>,
}

impl<'h> Fields<'h> {
    pub(crate) fn parse(headers: &[httparse::Header<'h>]) -> Result<Self, HandshakeError> {
        let mut fields = Vec::with_capacity(headers.len());
        for header in headers {
            let value =
                core::str::from_utf8(header.value).map_err(|_| HandshakeError::HeaderNotUtf8)?;
            fields.push((header.name, value.trim_matches(is_blank)));
        }
        Ok(Self { fields })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'h str, &'h str)> + '_ {
        self.fields.iter().copied()
    }

    /// The values of all fields with this name.
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'h str> + 's {
        self.iter().filter(move |(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// The value of the first field with this name.
    pub(crate) fn first(&self, name: &str) -> Option<&'h str> {
        self.all(name).next()
    }

    /// The value of the only field with this name; `Err` when there are more.
    pub(crate) fn only(&self, name: &str) -> Result<Option<&'h str>, ()> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(()),
        }
    }

    /// The elements of a comma-separated list, over all fields with this name.
    pub(crate) fn list<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'h str> + 's {
        self.all(name).flat_map(list)
    }

    /// Whether such a list holds `token`, without regard to case.
    pub(crate) fn lists_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|have| have.eq_ignore_ascii_case(token))
    }
}

/// The elements of one comma-separated value; empty ones do not count (RFC 9110 §5.6.1).
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|element| element.trim_matches(is_blank)).filter(|e| !e.is_empty())
}

/// Whether `text` is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(crate) fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}
