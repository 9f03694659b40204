//! A WebSocket broadcast engine for Linux: Engine, Handler, Publisher, Config.
