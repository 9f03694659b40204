//! The loop that all tokio peers have: one thread, a task for each connection.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that wait to be accepted; the kernel's somaxconn may be lower.
const BACKLOG: u32 = 4096;
/// Without descriptors, accepting is tried again after this.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Accepts connections on `address` for ever, each with a number of its own and without delay;
/// `serve` runs as a task.
pub fn run<F>(address: SocketAddr, serve: impl Fn(u64, TcpStream) -> F) -> ExitCode
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(accept_all(address, serve)));
    if let Err(error) = served {
        eprintln!("cannot serve on {address}: {error}");
    }
    ExitCode::FAILURE
}

async fn accept_all<F>(
    address: SocketAddr,
    serve: impl Fn(u64, TcpStream) -> F,
) -> std::io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = listen(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut connections = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => {
                connections += 1;
                tokio::spawn(serve(connections, stream));
            }
            Ok(_) => {} // it is gone already
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
