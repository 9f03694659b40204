//! What holds for every message, whatever is in it. A failure prints its seed and is kept in a
//! `.proptest-regressions` file, from which it is replayed.

mod binary;
mod commands;
mod events;
mod ingest;

use proptest::prelude::*;

/// Any text, with many of the characters that JSON escapes.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => any::<char>(),
        2 => prop::char::range('\0', '\u{7f}'),
        1 => prop::sample::select(vec!['"', '\\', '\n', '\u{2028}', '\u{7f}']),
    ];
    prop::collection::vec(character, 1..20).prop_map(String::from_iter)
}

/// A topic, by its grammar.
fn topic() -> impl Strategy<Value = String> {
    let token = prop::string::string_regex("[A-Za-z0-9_:/+=@~-]{1,12}").expect("a pattern");
    prop::collection::vec(token, 1..4).prop_map(|tokens| tokens.join("."))
}

/// The JSON text of any value, with white space and odd numbers in it.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        prop::string::string_regex("-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,5})?")
            .expect("a pattern"),
        text().prop_map(|text| serde_json::to_string(&text).expect("a string is JSON")),
        Just("\"\\u00e9\\/\\ud800\"".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let members = prop::collection::vec((text(), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|all| format!("[ {} ]", all.join(" ,\n"))),
            members.prop_map(|all| {
                let member = |(name, value): &(String, String)| {
                    format!("{} :{value}", serde_json::to_string(name).expect("JSON"))
                };
                format!("{{{}}}", Vec::from_iter(all.iter().map(member)).join(","))
            }),
        ]
    })
}

/// The JSON text of an id.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        "[ -!#-\\[\\]-~]{0,62}".prop_map(|inner| format!("\"{inner}\"")),
        Just("-1.50e+7".to_owned()),
        Just("\"\\u0041\\n\"".to_owned()),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..80),
        1 => (65_500_usize..65_550).prop_map(|count| vec![7; count]),
    ]
}
