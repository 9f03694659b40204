//! Who gets what: topics, subscriptions, outbox rings and delivery policies. No I/O, no clock.
