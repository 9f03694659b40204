//! Whom a proxy speaks for: a PROXY header in front of everything else, or a field of the request.
//! Only those that are trusted are asked, and the client's own address is charged then.

use std::net::{Shutdown, SocketAddr};
use std::os::fd::BorrowedFd;
use std::task::Poll;

use bytes::Bytes;
use corecast_gate::network::any_contains;
use corecast_gate::proxy::{
    Client, ProxyHeader, Spoken, Versions, client_by_forwarded, client_by_x_forwarded_for,
    secure_by_forwarded, secure_by_x_forwarded_proto,
};
use corecast_hub::ConnId;
use corecast_wire::Request;
use corecast_wire::handshake::response;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::config::{ProxyConfig, ProxyHeader as Field, ProxyProtocol};
use crate::edge::Entrance;
use crate::handler::Handler;
use crate::refusal;
use crate::shard::{Shard, Slot, slot_mut};

/// Bytes that one look at a socket takes of a PROXY header: most are shorter.
const LOOK_BYTES: usize = 256;

/// What is asked of a peer that has just connected; nothing where it is not trusted.
pub(crate) fn entrance(config: &ProxyConfig, peer: SocketAddr) -> Option<Box<Entrance>> {
    if !config.is_on() || !any_contains(&config.trusted, peer.ip()) {
        return None;
    }
    let versions = match config.protocol {
        ProxyProtocol::None => None,
        ProxyProtocol::V1 => Some(Versions::V1),
        ProxyProtocol::V2 => Some(Versions::V2),
        ProxyProtocol::Any => Some(Versions::Any),
    };
    let header = versions.map(|versions| Box::new(ProxyHeader::new(versions)));
    let by_field = config.header != Field::None;
    Some(Box::new(Entrance { charge: None, proxy: None, header, by_field, is_secure: None }))
}

/// Goes on with the PROXY header of a connection that owes one. Ready with false when the
/// connection is over.
pub(crate) fn go_on<H: Handler>(shard: &Shard<H>, slot: &mut Slot<H::Data>) -> Poll<bool> {
    let Some(header) = slot.entrance.as_mut().and_then(|entrance| entrance.header.as_mut()) else {
        return Poll::Ready(true);
    };
    if slot.abort {
        return Poll::Ready(false);
    }
    let spoken = match read(slot.stream.fd(), header) {
        Poll::Pending if shard.departure.is_refusing() => return Poll::Ready(false),
        Poll::Pending => return Poll::Pending,
        Poll::Ready(Ok(spoken)) => spoken,
        Poll::Ready(Err(problem)) => {
            fault(shard, slot.peer, &problem);
            return Poll::Ready(false);
        }
    };
    Poll::Ready(heard(shard, slot, spoken))
}

/// The client by the request's fields, where a trusted proxy forwarded it, and that proxy. Its
/// address is charged, once.
///
/// # Errors
/// The answer, where its budget is spent or the proxy's word cannot be understood.
pub(crate) fn client_of<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    request: &Request<'_>,
) -> Result<(SocketAddr, Option<SocketAddr>), Bytes> {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return Err(Bytes::new()) };
    let Some(entrance) = slot.entrance.as_deref_mut() else { return Ok((slot.peer, None)) };
    if std::mem::take(&mut entrance.by_field) {
        let limits = shard.edge.limits();
        let client = by_fields(&limits.proxy, request).map_err(|problem| {
            fault(shard, slot.peer, &problem);
            let body = format!("{problem}\n");
            response(400, &[], body.as_bytes()).map_or_else(|_| Bytes::new(), Bytes::from)
        })?;
        entrance.is_secure = secure_by_fields(&limits.proxy, request);
        let now = shard.clock.now();
        let charge = match client {
            Client::Known(client) => {
                entrance.proxy.get_or_insert(slot.peer);
                slot.peer = client;
                shard.edge.charge(slot.peer, now)
            }
            Client::Unsaid => {
                silent(shard, slot.peer);
                shard.edge.charge_unnamed(slot.peer, now)
            }
        };
        entrance.charge =
            charge.map_err(|denied| Bytes::from_static(refusal::note(shard, slot.peer, denied)))?;
    }
    Ok((slot.peer, entrance.proxy))
}

/// Reads a PROXY header, and not a byte behind it: that belongs to TLS, or to the request.
fn read(fd: BorrowedFd<'_>, header: &mut ProxyHeader) -> Poll<Result<Spoken, String>> {
    let mut bytes = [0; LOOK_BYTES];
    loop {
        let seen =
            match rustix::net::recv(fd, &mut bytes[..], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
                Ok((0, _)) => {
                    return Poll::Ready(Err("it ended before its PROXY header".to_owned()));
                }
                Ok((seen, _)) => seen,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error.to_string())),
            };
        let fed = match header.feed(&bytes[..seen]) {
            Ok(fed) => fed,
            Err(error) => return Poll::Ready(Err(error.to_string())),
        };
        let used = fed.map_or(seen, |(used, _)| used);
        // What was seen is there to be taken.
        let taken = rustix::net::recv(fd, &mut bytes[..used], RecvFlags::DONTWAIT);
        if taken.is_err() {
            return Poll::Ready(Err("its bytes vanished".to_owned()));
        }
        if let Some((_, spoken)) = fed {
            return Poll::Ready(Ok(spoken));
        }
    }
}

/// The header is whole: the client's address takes the place of the proxy's, and is charged, unless
/// a field of the request is to be asked as well. False when the connection is over.
fn heard<H: Handler>(shard: &Shard<H>, slot: &mut Slot<H::Data>, spoken: Spoken) -> bool {
    let Some(entrance) = slot.entrance.as_deref_mut() else { return true };
    entrance.header = None;
    if let Spoken::For(client) = spoken {
        entrance.proxy = Some(slot.peer);
        slot.peer = client;
        let limits = shard.edge.limits();
        entrance.by_field &= any_contains(&limits.proxy.trusted, client.ip());
    }
    if entrance.by_field {
        return true;
    }
    let now = shard.clock.now();
    match shard.edge.charge(slot.peer, now) {
        Ok(charge) => {
            entrance.charge = charge;
            true
        }
        Err(denied) => {
            let answer = refusal::note(shard, slot.peer, denied);
            shard.stats.refused.add(1);
            if slot.stream.is_secure() {
                // To be told why would take the handshake that it is not worth.
                return false;
            }
            let _ = slot.stream.write(answer);
            slot.stream.shut(Shutdown::Write);
            slot.session.drain(now);
            true
        }
    }
}

fn by_fields(config: &ProxyConfig, request: &Request<'_>) -> Result<Client, String> {
    let client = match config.header {
        Field::None => return Ok(Client::Unsaid),
        Field::XForwardedFor => {
            let lines = values(request, "x-forwarded-for");
            client_by_x_forwarded_for(lines.into_iter(), &config.trusted)
        }
        Field::Forwarded => {
            client_by_forwarded(values(request, "forwarded").into_iter(), &config.trusted)
        }
    };
    client.map_err(|error| error.to_string())
}

/// Whether the client came by TLS to the proxy that speaks for it, if that says.
fn secure_by_fields(config: &ProxyConfig, request: &Request<'_>) -> Option<bool> {
    match config.header {
        Field::None => None,
        Field::XForwardedFor => {
            secure_by_x_forwarded_proto(values(request, "x-forwarded-proto").into_iter())
        }
        Field::Forwarded => {
            secure_by_forwarded(values(request, "forwarded").into_iter(), &config.trusted)
        }
    }
}

fn values<'r>(request: &'r Request<'_>, name: &str) -> Vec<&'r str> {
    let named = request.headers().filter(|(have, _)| have.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value).collect()
}

/// A trusted proxy forwards without a word of for whom: told once by each shard.
fn silent<H: Handler>(shard: &Shard<H>, proxy: SocketAddr) {
    if shard.edge.is_first_silent() {
        let (shard, proxy) = (shard.id.0, proxy.ip());
        tracing::warn!(
            shard,
            %proxy,
            "a trusted proxy names no client: all of its clients share its own budget; let it set \
             the field of proxy.header, or take it out of proxy.trusted"
        );
    }
}

/// A trusted proxy said something that cannot be understood, or nothing.
fn fault<H: Handler>(shard: &Shard<H>, proxy: SocketAddr, problem: &str) {
    shard.stats.proxy_errors.add(1);
    if shard.edge.may_tell(shard.clock.now()) {
        let (shard, proxy) = (shard.id.0, proxy.ip());
        tracing::warn!(shard, %proxy, problem, "a trusted proxy is not understood");
    }
}
