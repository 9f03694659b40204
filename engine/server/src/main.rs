//! The `corecast` program: demo, replay, serve, doctor.

#![forbid(unsafe_code)]

mod admin;
mod auth;
mod cli;
mod clock;
mod config;
mod control;
mod credential;
mod demo;
mod denials;
mod doctor;
mod door;
mod doorkeeper;
mod feed;
mod gateways;
mod guest;
mod handler;
mod health;
mod hook;
mod ingest;
mod intake;
mod leave;
mod lock;
mod namespaces;
mod publish;
mod raw;
mod refusals;
mod replay;
mod report;
mod route;
mod secrets;
mod serve;
mod service;
mod subscribe;
mod take_over;
mod token;

use std::process::ExitCode;

/// Frames are allocated on one thread and freed on another: mimalloc takes that well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
