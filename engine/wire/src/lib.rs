//! RFC 6455 as pure state machines: bytes in, events and bytes out.
