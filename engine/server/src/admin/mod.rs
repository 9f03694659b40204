//! The admin port: `POST /publish`, `POST /publish/batch`, `GET /metrics`, `GET /healthz`.
//!
//! Without tokens it asks nobody who he is, so it belongs on loopback. Requests from web pages
//! (they carry `Origin`) are refused: else any page that an operator looks at could publish here.

mod batch;
mod error;
mod item;
mod limits;
mod listener;
mod metrics;
mod publish;
#[cfg(test)]
mod tests;

use crate::cli::exit::{Exit, Failure};
use crate::config::admin::AdminConfig;
use crate::control::{Control, stopped};
use crate::intake::{Intake, Sink};
use crate::secrets::{Passes, Refused, Secrets};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use corecast::Engine;
use error::ApiError;
use listener::Bounded;
use metrics::Meters;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running admin port.
#[derive(Debug)]
pub(crate) struct Admin {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// A copy of the listener.
    pub(crate) copy: Option<std::net::TcpListener>,
    /// Ends when it is told to.
    pub(crate) task: JoinHandle<()>,
}

/// What operators must show, and what they are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk {
    pass: Secrets,
    meters: Meters,
}

impl Desk {
    pub(crate) fn new(passes: &Passes, engine: &Arc<Engine>) -> Self {
        let (engine, denials) = (Arc::downgrade(engine), Arc::clone(&passes.denials));
        Self { pass: passes.admin.clone(), meters: Meters { engine, denials } }
    }
}

/// What all requests share.
#[derive(Clone, Debug)]
struct App<S> {
    intake: Intake<S>,
    desk: Desk,
    batch_max: usize,
    body_bytes_max: usize,
    /// Whether the program is about to end.
    draining: watch::Receiver<bool>,
}

/// Listens on `address`, until `ending` turns true.
///
/// # Errors
///
/// When the address cannot be listened on.
pub(crate) fn start<S: Sink>(
    control: &Control,
    (config, desk): (&AdminConfig, Desk),
    address: SocketAddr,
    intake: Intake<S>,
    inherited: Option<std::net::TcpListener>,
    ending: &watch::Sender<bool>,
) -> Result<Admin, Failure> {
    if !address.ip().is_loopback() && !desk.pass.are_asked() {
        tracing::warn!(
            %address,
            "the admin port is open to other machines, and asks nobody who he is: whoever reaches \
             it can publish to every topic. Set admin.token_file, or put it on 127.0.0.1"
        );
    }
    let listener = listen(control, address, inherited)?;
    let address = listener.local_addr().unwrap_or(address);
    let AdminConfig { batch_max, body_bytes_max, .. } = *config;
    let bequeathed = intake.bequeathed().clone();
    let app = App { intake, desk, batch_max, body_bytes_max, draining: control.stopping() };
    let copy = listener.as_fd().try_clone_to_owned().ok().map(Into::into);
    let mut over = ending.subscribe();
    let mut stopping = ending.subscribe();
    let task = control.spawn(async move {
        tokio::select! {
            () = bequeathed.ours() => {}
            () = stopped(&mut stopping) => return,
        }
        let ended = async move { stopped(&mut over).await };
        let server = serve(Bounded::new(listener), router(app)).with_graceful_shutdown(ended);
        if let Err(error) = server.await {
            tracing::error!(%error, "the admin port ended");
        }
    });
    Ok(Admin { address, copy, task })
}

fn listen(
    control: &Control,
    address: SocketAddr,
    inherited: Option<std::net::TcpListener>,
) -> Result<TcpListener, Failure> {
    let bound = inherited.map_or_else(|| std::net::TcpListener::bind(address), Ok);
    let bound = bound.and_then(|listener| {
        listener.set_nonblocking(true)?;
        let _entered = control.enter();
        TcpListener::from_std(listener)
    });
    bound.map_err(|error| {
        let message = format!(
            "cannot listen on {address} for the admin port: {error}; choose another with --admin"
        );
        Failure::new(Exit::Unavailable, message)
    })
}

fn router<S: Sink>(app: App<S>) -> Router {
    Router::new()
        .route("/publish", post(publish::one::<S>))
        .route("/publish/batch", post(batch::many::<S>))
        .route("/metrics", get(metrics::metrics::<S>))
        .route("/healthz", get(health::<S>))
        .fallback(async || {
            ApiError::new(404, "there is /publish, /publish/batch, /metrics and /healthz")
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(405, "POST to /publish and /publish/batch, GET /metrics and /healthz")
        })
        .layer(DefaultBodyLimit::max(app.body_bytes_max))
        .layer(from_fn_with_state(app.clone(), known::<S>))
        .layer(from_fn(no_web_page))
        .with_state(app)
}

async fn health<S: Sink>(State(app): State<App<S>>) -> (StatusCode, &'static str) {
    match *app.draining.borrow() {
        false => (StatusCode::OK, "ok\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

/// Lets those pass who show a token, where one is asked for. Whether the program serves is told
/// to everybody.
async fn known<S: Sink>(State(app): State<App<S>>, request: Request, next: Next) -> Response {
    if request.uri().path() != "/healthz" {
        match app.desk.pass.check(bearer(request.headers())) {
            Ok(()) => {}
            Err(Refused::Missing) => {
                let message = "a token is needed: `Authorization: Bearer` with one of those of \
                               admin.token_file";
                return ApiError::new(401, message).into_response();
            }
            Err(Refused::Wrong) => {
                let message = "the token is none of those of admin.token_file";
                return ApiError::new(403, message).into_response();
            }
        }
    }
    next.run(request).await
}

/// The token of a request; none where there are two.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn no_web_page(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let message = "web pages may not use the admin port (the request has an Origin)";
        return ApiError::new(403, message).into_response();
    }
    next.run(request).await
}

impl<S> App<S> {
    /// Why a body could not be read.
    fn bad_body(&self, error: &BytesRejection) -> ApiError {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("a body has at most {} bytes", self.body_bytes_max);
            return ApiError::new(413, message);
        }
        ApiError::new(error.status().as_u16(), error.body_text())
    }
}
