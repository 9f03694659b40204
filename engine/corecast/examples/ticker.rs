//! A ticker inside a tokio service: the engine has threads of its own, a tokio task publishes,
//! Ctrl-C ends it in order.
//!
//! ```text
//! cargo run --example ticker -- 127.0.0.1:9001
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use corecast::{
    Accept, Arrival, Context, Engine, Frame, Handler, Policy, PublishError, Publisher, Reject,
    Upgrade,
};

struct Ticker;

impl Handler for Ticker {
    type Data = String;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<String>, Reject> {
        match request.path().strip_prefix("/ticker/") {
            Some(symbol) => Ok(Accept::new(format!("quote.{symbol}"))),
            None => Err(Reject::new(404, "tickers are at /ticker/SYMBOL")),
        }
    }

    fn on_open(&mut self, topic: &mut String, context: &mut Context<'_>) {
        if let Err(error) = context.subscribe(topic) {
            context.close(corecast::CloseCode::POLICY_VIOLATION, &error.to_string());
        }
    }
}

/// Publishes a price every millisecond. A full mesh is waited for, not overrun.
async fn publish(publisher: Publisher) -> Result<(), PublishError> {
    let mut clock = tokio::time::interval(Duration::from_millis(1));
    let mut price = 6_000_000_i64;
    for step in 0_i64.. {
        clock.tick().await;
        price += (step * 7_919) % 21 - 10;
        let quote = format!(r#"{{"symbol":"BTCUSDT","bid":{}.{:02}}}"#, price / 100, price % 100);
        publisher.room().await;
        publisher.publish("quote.BTCUSDT", &Frame::text(&quote))?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let engine = Engine::builder()
        .listen(address.parse::<SocketAddr>()?)
        .policy("quote.*", Policy::Latest)
        .spawn(|_shard| Ticker)?;
    println!("ws://{}/ticker/BTCUSDT", engine.local_addr());

    tokio::select! {
        published = publish(engine.publisher()) => published?,
        ended = engine.ended() => ended?,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    Ok(engine.shutdown(Duration::from_secs(5)).await?)
}
