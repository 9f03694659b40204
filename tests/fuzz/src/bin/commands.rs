//! Any text is a command that reads back from what it is written as, or an error that says enough.

#![no_main]

use corecast_feed::limits::Limits;
use corecast_feed::{Event, parse_command};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    match parse_command(text, &limits) {
        Ok(command) => {
            let again = command.to_json();
            let parsed = parse_command(&again, &limits);
            assert_eq!(parsed.as_ref(), Ok(&command), "{again}");
        }
        Err(error) => {
            assert!(matches!(error.code.code(), 400 | 405 | 413), "{error}");
            assert!(!error.message.is_empty() && error.message.len() <= 300, "{error}");
            let answer = Event::Error(error.to_event()).to_json();
            let Ok(Event::Error(read)) = Event::parse(&answer) else { panic!("{answer}") };
            assert_eq!(read.id, error.id, "{answer}");
        }
    }
});
