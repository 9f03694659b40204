//! Header fields in which proxies name a client: each adds what it knows at the right end, so
//! whatever a client wrote stands to the left of what its first proxy added.

use super::hop::{Client, Hop, HopError, address, node, walk};
use crate::network::{Network, any_contains};

/// The client by `X-Forwarded-For`: the rightmost address that is not itself believed. `lines` are
/// the values of all fields of that name, in their order.
///
/// # Errors
/// Where a proxy that is believed says what cannot be understood.
pub fn client_by_x_forwarded_for<'a>(
    lines: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> Result<Client, HopError> {
    let elements = lines.rev().flat_map(|line| line.rsplit(',')).map(str::trim);
    walk(elements.filter(|element| !element.is_empty()).map(address), trusted)
}

/// The client by `Forwarded` (RFC 7239), as above.
///
/// # Errors
/// As above. A line is read as a whole: one that is malformed anywhere says nothing, since a quote
/// left open on its left would swallow what stands on its right.
pub fn client_by_forwarded<'a>(
    lines: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> Result<Client, HopError> {
    let hops = lines.rev().flat_map(|line| match hops_of(line) {
        Ok(hops) => hops.into_iter().rev().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    });
    walk(hops, trusted)
}

/// Whether the client came to the first proxy that is believed by TLS, as `X-Forwarded-Proto` has
/// it. None: nobody says, or two say different things. `lines` as above.
pub fn secure_by_x_forwarded_proto<'a>(lines: impl Iterator<Item = &'a str>) -> Option<bool> {
    let mut said = lines.flat_map(|line| line.split(',')).map(|scheme| is_https(scheme.trim()));
    let first = said.next()?;
    if said.all(|other| other == first) { first } else { None }
}

/// The same by the `proto` of `Forwarded`, of the element that [`client_by_forwarded`] ends at.
pub fn secure_by_forwarded<'a>(
    lines: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> Option<bool> {
    let mut is_secure = None;
    for line in lines.rev() {
        for element in elements_of(line).ok()?.into_iter().rev() {
            is_secure = element.is_secure;
            match element.hop {
                Hop::Address(address) if any_contains(trusted, address.ip()) => {}
                _ => return is_secure,
            }
        }
    }
    is_secure
}

fn is_https(scheme: &str) -> Option<bool> {
    let is = |known: &str| scheme.eq_ignore_ascii_case(known);
    match (is("https") || is("wss"), is("http") || is("ws")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// What one proxy has added.
struct Element {
    hop: Hop,
    is_secure: Option<bool>,
}

/// The hops of one line, in their order.
fn hops_of(line: &str) -> Result<Vec<Hop>, HopError> {
    Ok(elements_of(line)?.into_iter().map(|element| element.hop).collect())
}

fn elements_of(line: &str) -> Result<Vec<Element>, HopError> {
    let mut rest = line.trim();
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let next;
        (next, rest) = element(rest)?;
        elements.extend(next);
    }
    Ok(elements)
}

//= RFC 7239 §4
//# forwarded-element =
//#     [ forwarded-pair ] *( ";" [ forwarded-pair ] )
/// One element, and what stands behind its comma. An empty one is no hop; one without `for` is a
/// hop that does not say.
fn element(text: &str) -> Result<(Option<Element>, &str), HopError> {
    let mut rest = text.trim_start();
    let (mut hop, mut is_secure, mut is_empty) = (None, None, true);
    loop {
        match rest.as_bytes().first() {
            None => break,
            Some(b',') => {
                rest = rest[1..].trim_start();
                break;
            }
            Some(b';') => rest = &rest[1..],
            Some(_) => {
                let (name, value);
                (name, value, rest) = pair(rest)?;
                is_empty = false;
                //= RFC 7239 §4
                //# Note that as ":" and "[]" are not valid characters in "token", IPv6
                //# addresses are written as "quoted-string".
                if name.eq_ignore_ascii_case("for") && hop.replace(node(&value)?).is_some() {
                    return Err(HopError::Malformed);
                }
                if name.eq_ignore_ascii_case("proto") {
                    is_secure = is_https(&value);
                }
            }
        }
    }
    let element = Element { hop: hop.unwrap_or(Hop::Hidden), is_secure };
    Ok(((!is_empty).then_some(element), rest))
}

/// `name=value`, and what stands behind it: nothing, a semicolon or a comma.
fn pair(text: &str) -> Result<(&str, String, &str), HopError> {
    let (name, rest) = text.split_once('=').ok_or(HopError::Malformed)?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(HopError::Malformed);
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(rest) => quoted(rest)?,
        None => {
            // Some write addresses with a port, or in brackets, without the quotes they need.
            let end = rest.find([',', ';', ' ', '\t']).unwrap_or(rest.len());
            let (value, rest) = rest.split_at(end);
            let is_value = !value.is_empty() && value.bytes().all(|b| is_token(b) || is_node(b));
            if !is_value {
                return Err(HopError::Malformed);
            }
            (value.to_owned(), rest)
        }
    };
    let rest = rest.trim_start();
    let is_end = rest.is_empty() || rest.starts_with([',', ';']);
    if is_end { Ok((name, value, rest)) } else { Err(HopError::Malformed) }
}

/// A quoted string behind its first quote (RFC 9110 §5.6.4), and what stands behind it.
fn quoted(text: &str) -> Result<(String, &str), HopError> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => value.push(chars.next().ok_or(HopError::Malformed)?.1),
            c => value.push(c),
        }
    }
    Err(HopError::Malformed)
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_node(byte: u8) -> bool {
    b":[]".contains(&byte)
}
