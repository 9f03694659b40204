//! What the machine offers a WebSocket server, and what to change: the crate behind the start-up probe and corecast doctor.
