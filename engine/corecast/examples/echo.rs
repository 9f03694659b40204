//! Sends every message back.
//!
//! ```text
//! cargo run --example echo -- 127.0.0.1:9001
//! ```

use std::net::SocketAddr;

use corecast::{Accept, Arrival, Context, Engine, Handler, Message, Reject, Upgrade};

struct Echo;

impl Handler for Echo {
    type Data = ();

    fn on_upgrade(
        &mut self,
        _request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<()>, Reject> {
        Ok(Accept::new(()))
    }

    fn on_message(&mut self, _data: &mut (), message: Message<'_>, context: &mut Context<'_>) {
        context.reply(&message.to_frame());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let engine = Engine::builder().listen(address.parse::<SocketAddr>()?).spawn(|_shard| Echo)?;
    println!("ws://{}/", engine.local_addr());
    Ok(engine.wait()?)
}
