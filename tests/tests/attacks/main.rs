//! The server under attack. Each test is named by what one fears; around each stands a
//! [`Siege`](corecast_tests::siege::Siege): connections that must not notice, and a look at what
//! is left behind. All of them together take about two minutes.

#![forbid(unsafe_code)]

mod closing;
mod descriptors;
mod frames;
mod half_open;
mod handshake;
mod lengths;
mod oracle;
mod pace;
mod probe;
mod resets;
mod shutdown;
mod slow_readers;
mod smuggling;
mod starts;
mod storm;
mod tables;
