//! TLS of an embedder: whom its handler is told of, and what ends or delays a connection.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corecast::config::{CertificateConfig, TlsConfig};
use corecast::{
    Accept, Arrival, Closed, Config, Context, Engine, Handler, Message, Reject, Upgrade,
};
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as Sent};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Nothing here takes longer, or it hangs.
const WITHIN: Duration = Duration::from_secs(20);

/// Lets in whom it can name: who shows the certificate that it knows.
struct Doorkeeper {
    known: CertificateDer<'static>,
}

impl Handler for Doorkeeper {
    type Data = &'static str;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Accept<&'static str>, Reject> {
        match arrival.client_certificate() {
            _ if !arrival.is_secure() => Err(Reject::new(400, "not over TLS")),
            Some(shown) if shown == &*self.known => Ok(Accept::new("known")),
            Some(_) => Err(Reject::new(403, "another")),
            None if request.path() == "/members" => Err(Reject::new(401, "nobody")),
            None => Ok(Accept::new("guest")),
        }
    }

    fn on_open(&mut self, _: &mut &'static str, _: &mut Context<'_>) {}

    fn on_message(&mut self, name: &mut &'static str, _: Message<'_>, context: &mut Context<'_>) {
        context.reply(&corecast::Frame::text(name));
    }

    fn on_close(&mut self, _: &'static str, _: &Closed, _: &mut Context<'_>) {}
}

/// An authority, the engine with a certificate of it, and those of two clients.
struct House {
    engine: Engine,
    roots: RootCertStore,
    clients: Vec<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

type Client = WebSocketStream<TlsStream<TcpStream>>;

impl House {
    fn open() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-secure-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let signed = || {
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
            let key = KeyPair::generate().expect("a key");
            (params.signed_by(&key, &authority).expect("signed"), key)
        };
        let (server, key) = signed();
        let files = ["chain.pem", "key.pem", "ca.pem"].map(|file| folder.join(file));
        let contents = [server.pem(), key.serialize_pem(), authority.pem()];
        for (file, content) in files.iter().zip(contents) {
            fs::write(file, content).expect("a file");
        }
        let clients: Vec<_> = [signed(), signed()]
            .into_iter()
            .map(|(certificate, key)| {
                let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes());
                (certificate.der().clone(), key.expect("a key"))
            })
            .collect();
        let [chain, key, client_ca] = files;
        let tls = TlsConfig {
            certificates: vec![CertificateConfig { chain, key }],
            client_ca: Some(client_ca),
            ..TlsConfig::default()
        };
        let listen = "127.0.0.1:0".parse().expect("an address");
        let config = Config { listen, shards: 1, tls, ..Config::default() };
        let known = clients[0].0.clone();
        let engine = Engine::builder().config(config);
        let engine = engine.spawn(move |_| Doorkeeper { known: known.clone() }).expect("started");
        fs::remove_dir_all(folder).expect("a folder");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a root");
        Self { engine, roots, clients }
    }

    /// A client that shows this one's certificate, speaking this version.
    async fn connect(
        &self,
        shown: Option<usize>,
        version: &'static SupportedProtocolVersion,
        path: &str,
    ) -> Result<Client, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_root_certificates(self.roots.clone());
        let config = match shown.map(|index| &self.clients[index]) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .expect("a certificate"),
        };
        let socket = TcpStream::connect(self.engine.local_addr()).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = timeout(WITHIN, connector.connect(name, socket)).await.expect("in time")?;
        let request = format!("wss://localhost{path}").into_client_request()?;
        let opened = timeout(WITHIN, client_async(request, stream)).await.expect("in time");
        opened.map(|(client, _)| client)
    }
}

async fn name_of(client: &mut Client) -> String {
    client.send(Sent::text("who am I?")).await.expect("sent");
    let answer = timeout(WITHIN, client.next()).await.expect("in time");
    answer.expect("an answer").expect("a message").into_text().expect("text").to_string()
}

#[tokio::test]
async fn a_handler_takes_a_stranger_for_a_member() {
    let house = House::open();
    for version in rustls::ALL_VERSIONS {
        let mut known = house.connect(Some(0), version, "/members").await.expect("let in");
        assert_eq!(name_of(&mut known).await, "known");
        let mut guest = house.connect(None, version, "/").await.expect("let in");
        assert_eq!(name_of(&mut guest).await, "guest");
        for (shown, status) in [(Some(1), 403), (None, 401)] {
            match house.connect(shown, version, "/members").await {
                Err(Error::Http(answer)) => assert_eq!(answer.status(), status, "{shown:?}"),
                other => panic!("{shown:?}, {version:?}: {other:?}"),
            }
        }
    }
}

#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn a_handshake_for_which_there_is_no_memory_goes_on_when_there_is() {
    let house = House::open();
    for version in rustls::ALL_VERSIONS {
        // For the server's answer to the hello, and again when the watch has told of room, once.
        house.engine.inject_no_buffers(corecast::ShardId(0), 2);
        let mut client = house.connect(None, version, "/").await.expect("let in");
        assert_eq!(name_of(&mut client).await, "guest");
    }
}

#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn a_worn_key_ends_its_connection_without_a_close() {
    use rustls::version::{TLS12, TLS13};
    let house = House::open();
    // AES-GCM with one key of TLS 1.2 encrypts 2^24 records.
    // The answer to the upgrade is one of them.
    house.engine.inject_tls_records((1 << 24) - (1 << 20) - 5);
    let mut renewed = house.connect(None, &TLS13, "/").await.expect("let in");
    let mut worn = house.connect(None, &TLS12, "/").await.expect("let in");
    for _ in 0..4 {
        assert_eq!(name_of(&mut renewed).await, "guest");
        assert_eq!(name_of(&mut worn).await, "guest");
    }
    let close = timeout(WITHIN, worn.next()).await.expect("in time");
    match close {
        Some(Ok(Sent::Close(Some(close)))) => assert_eq!(u16::from(close.code), 1012, "{close}"),
        other => panic!("no Close: {other:?}"),
    }
    assert_eq!(name_of(&mut renewed).await, "guest");
}
