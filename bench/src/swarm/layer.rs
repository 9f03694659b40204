//! TLS between a connection and its socket.

use std::io::{ErrorKind, Read, Write};

use rustls::{ClientConnection, HandshakeKind};
use socket2::Socket;

use super::end::End;
use crate::tls::Secure;

/// The TLS session of one connection.
pub(super) struct Layer {
    session: ClientConnection,
    /// The socket takes no more; what the server has said may still be read.
    broken: bool,
}

impl Layer {
    /// A session whose handshake begins with the first [`Layer::flush`].
    pub(super) fn new(secure: &Secure) -> eyre::Result<Self> {
        let session = ClientConnection::new(secure.config.clone(), secure.name.clone())?;
        Ok(Self { session, broken: false })
    }

    /// Takes some of what came from the socket, and leaves the rest in `bytes`.
    pub(super) fn receive(&mut self, bytes: &mut &[u8]) -> Result<(), End> {
        let violated = |error: &dyn std::fmt::Display| End::Violated(format!("TLS: {error}"));
        self.session.read_tls(bytes).map_err(|error| violated(&error))?;
        self.session.process_new_packets().map_err(|error| violated(&error))?;
        Ok(())
    }

    /// Decrypted bytes, as many as are there and `into` has room for.
    pub(super) fn read(&mut self, into: &mut [u8]) -> usize {
        // The end of the session is that of the socket, which follows.
        self.session.reader().read(into).unwrap_or(0)
    }

    /// Encrypts and sends what the socket takes; the rest stays in `unsent` and in the session.
    pub(super) fn flush(&mut self, unsent: &mut Vec<u8>, mut socket: &Socket) {
        loop {
            let taken = self.session.writer().write(unsent).unwrap_or(0);
            drop(unsent.drain(..taken));
            while self.wants_write() {
                match self.session.write_tls(&mut socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => {
                        unsent.clear();
                        self.broken = true;
                    }
                }
            }
            if taken == 0 {
                return;
            }
        }
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.broken && self.session.wants_write()
    }

    /// Whether the handshake went without a signature, by the ticket of a session before.
    pub(super) fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use corecast_wire::frame::Opcode;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use crate::servers::Folder;
    use crate::swarm::{Delivery, Plan, Swarm};
    use crate::tls::{CHAIN, Certificate, Secure, Tls, Trust};

    const WITHIN: Duration = Duration::from_secs(10);

    /// rustls and tungstenite, a thread per connection: they send back what comes.
    fn server(folder: &Folder) -> SocketAddr {
        Certificate::write(folder.path()).unwrap();
        let chain = CertificateDer::pem_file_iter(folder.path().join(CHAIN)).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let chain = chain.map(|certificate| certificate.unwrap()).collect();
        let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                thread::spawn(move || {
                    let stream = StreamOwned::new(session, socket);
                    let Ok(mut socket) = tungstenite::accept(stream) else { return };
                    while let Ok(message) = socket.read() {
                        if message.is_binary() && socket.send(message).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn swarm(address: SocketAddr, trust: Trust, resumes: bool) -> Swarm {
        let secure = Secure::new("localhost", &Tls { trust, resumes }).unwrap();
        Swarm::to(address, Some(secure)).unwrap()
    }

    #[test]
    fn messages_of_all_sizes_come_back_whole_over_tls() {
        let folder = Folder::new().unwrap();
        let address = server(&folder);
        let trust = Trust::Authority(folder.path().join(CHAIN));
        let mut swarm = swarm(address, trust, false);
        let all = swarm.open_all(&Plan::reader("/"), 3, WITHIN, &mut |_| {}).unwrap();
        let sizes = [0, 1, 125, 126, 16_383, 16_384, 65_536, 3_000_000];
        for connection in all.clone() {
            for size in sizes {
                let payload = Vec::from_iter((0..size).map(|at| (at * 7 + connection) as u8));
                swarm.send(connection, Opcode::Binary, &payload);
            }
        }
        let mut next = [0; 3];
        while next.iter().sum::<usize>() < all.len() * sizes.len() {
            let before = next;
            let take = &mut |Delivery { connection, payload, .. }: Delivery<'_>| {
                let whole = payload.len() == sizes[next[connection]];
                let right = |(at, byte): (usize, &u8)| *byte == (at * 7 + connection) as u8;
                assert!(whole && payload.iter().enumerate().all(right), "{}", payload.len());
                next[connection] += 1;
            };
            swarm.poll_for(Duration::from_secs(3), take).unwrap();
            assert_ne!(before, next, "nothing comes any more");
        }
        swarm.close_all(1000);
        swarm.poll_for(Duration::from_millis(300), &mut |_| {}).unwrap();
        assert_eq!((swarm.live(), swarm.resumed()), (0, 0));
    }

    #[test]
    fn sessions_are_resumed_as_soon_as_there_are_tickets() {
        let folder = Folder::new().unwrap();
        let address = server(&folder);
        let mut swarm = swarm(address, Trust::Anybody, true);
        for expected in [0, 1] {
            swarm.open_all(&Plan::reader("/"), 1, WITHIN, &mut |_| {}).unwrap();
            assert_eq!(swarm.resumed(), expected);
            swarm.poll_for(Duration::from_millis(200), &mut |_| {}).unwrap();
        }
    }

    #[test]
    fn a_certificate_that_nobody_trusts_is_refused() {
        let (folder, other) = (Folder::new().unwrap(), Folder::new().unwrap());
        let address = server(&folder);
        Certificate::write(other.path()).unwrap();
        let mut swarm = swarm(address, Trust::Authority(other.path().join(CHAIN)), false);
        let refused = swarm.open_all(&Plan::reader("/"), 1, WITHIN, &mut |_| {});
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("TLS") && error.contains("certificate"), "{error}");
    }
}
