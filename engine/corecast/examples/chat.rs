//! A chat: `/room/NAME` joins a room; what one says, all others in the room hear.
//!
//! ```text
//! cargo run --example chat -- 127.0.0.1:9001
//! ```

use std::net::SocketAddr;

use corecast::{
    Accept, Arrival, Closed, Context, Engine, Frame, Handler, Message, Reject, Upgrade,
};

/// What the service keeps for each connection.
struct Guest {
    topic: String,
    name: String,
}

struct Chat;

impl Handler for Chat {
    type Data = Guest;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<Guest>, Reject> {
        let Some(room) = request.path().strip_prefix("/room/") else {
            return Err(Reject::new(404, "rooms are at /room/NAME?name=YOU"));
        };
        let query = request.query().unwrap_or_default();
        let name = query.strip_prefix("name=").unwrap_or("somebody").to_owned();
        Ok(Accept::new(Guest { topic: format!("chat.{room}"), name }))
    }

    fn on_open(&mut self, guest: &mut Guest, context: &mut Context<'_>) {
        match context.subscribe(&guest.topic) {
            Ok(_) => say(context, guest, "has joined"),
            Err(error) => context.close(corecast::CloseCode::POLICY_VIOLATION, &error.to_string()),
        }
    }

    fn on_message(&mut self, guest: &mut Guest, message: Message<'_>, context: &mut Context<'_>) {
        if let Message::Text(text) = message {
            say(context, guest, text);
        }
    }

    fn on_close(&mut self, guest: Guest, closed: &Closed, context: &mut Context<'_>) {
        say(context, &guest, &format!("has left ({:?}, {})", closed.by, closed.code));
    }
}

fn say(context: &mut Context<'_>, guest: &Guest, text: &str) {
    let line = Frame::text(&format!("{}: {text}", guest.name));
    if let Err(error) = context.publish_others(&guest.topic, &line) {
        context.reply(&Frame::text(&format!("not said: {error}")));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let engine = Engine::builder().listen(address.parse::<SocketAddr>()?).spawn(|_shard| Chat)?;
    println!("ws://{}/room/lobby?name=YOU", engine.local_addr());
    Ok(engine.wait()?)
}
