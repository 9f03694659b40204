//! Origins over TLS: a page is of a scheme, and one that came in plainly is another.

use std::sync::Arc;

use eyre::{Result, ensure};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::client::secure;
use crate::files::Authority;
use crate::server::start;

#[tokio::test]
async fn an_origin_is_compared_with_its_scheme_over_tls() -> Result<()> {
    let authority = Authority::new("origins")?;
    let table = authority.sign("one", &["localhost"])?.table();
    let config = Arc::new(authority.client()?);
    let rest = "[origin]\nallow = [\"https://app.example\"]\nsame = true\nabsent = false\n";
    let (server, address) = start(&table, rest)?;
    let port = address.port();
    for (origin, expected) in [
        ("https://app.example".to_owned(), 101),
        ("https://app.example:443".to_owned(), 101),
        // What it is called with is the page of the server itself, and that is https here.
        (format!("https://localhost:{port}"), 101),
        (format!("http://localhost:{port}"), 403),
        ("https://localhost".to_owned(), 403),
        ("http://app.example".to_owned(), 403),
        ("http://app.example:443".to_owned(), 403),
        ("https://app.example:8443".to_owned(), 403),
        ("https://app.example.evil.example".to_owned(), 403),
        ("wss://app.example".to_owned(), 403),
        ("null".to_owned(), 403),
        (String::new(), 403),
    ] {
        let stream = secure(address, "localhost", &config).await?;
        let mut request = format!("wss://localhost:{port}/echo").into_client_request()?;
        if !origin.is_empty() {
            request.headers_mut().insert("Origin", origin.parse()?);
        }
        let status = match client_async(request, stream).await {
            Ok((_, answer)) => answer.status().as_u16(),
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => return Err(error.into()),
        };
        ensure!(status == expected, "{origin:?}: {status}");
    }
    server.stop()
}
