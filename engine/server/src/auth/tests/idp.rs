//! Somebody who issues tokens, on a real socket, and who can behave badly.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corecast_gate::token::{Grant, SigningKey};
use futures_util::stream;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A key of Ed25519.
pub(super) struct Key {
    kid: String,
    pair: KeyPair,
    signing: SigningKey,
}

impl Key {
    pub(super) fn new(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let signing = SigningKey::from_pem(pair.serialize_pem().as_bytes()).expect("PKCS #8");
        Self { kid: kid.to_owned(), pair, signing }
    }

    pub(super) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    pub(super) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.der_bytes());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid, "x": x })
    }

    /// A good token.
    pub(super) fn token(&self) -> String {
        self.signing.sign(Some(&self.kid), &grant(None)).expect("a token")
    }

    /// A token with more in its header, of this issuer; its signature is of the header as it was.
    pub(super) fn token_with(&self, members: &[(&str, &str)], issuer: &str) -> String {
        let token = self.signing.sign(Some(&self.kid), &grant(Some(issuer))).expect("a token");
        let (header, rest) = token.split_once('.').expect("three parts");
        let header = URL_SAFE_NO_PAD.decode(header).expect("base64url");
        let mut header: Value = serde_json::from_slice(&header).expect("JSON");
        for &(name, value) in members {
            header[name] = value.into();
        }
        match members {
            [] => token.clone(),
            _ => format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string())),
        }
    }
}

fn grant(issuer: Option<&str>) -> Grant {
    Grant {
        iss: issuer.map(str::to_owned),
        sub: Some("u1".to_owned()),
        exp: Some(crate::clock::wall_s() + 600),
        ..Grant::default()
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// These keys.
    Set(Vec<Value>),
    /// This text, with 200.
    Text(String),
    /// This status.
    Status(u16),
    /// 302 to there.
    Redirect(String),
    /// Nothing, ever.
    Silence,
    /// More and more.
    Endless,
    /// A byte now and then.
    Trickle,
}

/// The server. It ends with the test's runtime.
pub(super) struct Idp {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answers: watch::Sender<HashMap<String, Answer>>,
    hits: AtomicUsize,
}

/// A port that is free.
pub(super) async fn reserve() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    (listener.local_addr().expect("an address"), listener)
}

impl Idp {
    pub(super) async fn start(answer: Answer) -> Self {
        Self::serve(reserve().await.1, answer)
    }

    pub(super) async fn start_at(address: SocketAddr, answer: Answer) -> Self {
        Self::serve(TcpListener::bind(address).await.expect("the port is free"), answer)
    }

    fn serve(listener: TcpListener, answer: Answer) -> Self {
        let answers = watch::Sender::new(HashMap::from([("/jwks".to_owned(), answer)]));
        let shared = Arc::new(Shared { answers, hits: AtomicUsize::new(0) });
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn set(&self, answer: Answer) {
        self.set_at("/jwks", answer);
    }

    pub(super) fn set_at(&self, path: &str, answer: Answer) {
        self.shared.answers.send_modify(|answers| {
            answers.insert(path.to_owned(), answer);
        });
    }

    /// Requests so far.
    pub(super) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }
}

async fn respond(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let answer = shared.answers.borrow().get(uri.path()).cloned();
    match answer {
        Some(Answer::Set(keys)) => json!({ "keys": keys }).to_string().into_response(),
        Some(Answer::Text(text)) => text.into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(status).expect("one").into_response(),
        Some(Answer::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Answer::Silence) => std::future::pending().await,
        Some(Answer::Endless) => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 8_192]));
            Body::from_stream(stream::repeat_with(chunk)).into_response()
        }
        Some(Answer::Trickle) => {
            let body = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
            });
            Body::from_stream(body).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
