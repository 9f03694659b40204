//! Which patterns match a name: token by token, past all that do not.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use crate::rules::Pattern;
use crate::stream::Stream;

/// The patterns of a hub's connections: a trie for each home that has answered and each interval.
///
/// A look-up visits the nodes whose tokens match so far, and no others. A name of `n` tokens
/// visits at most 2ⁿ of them, and never more than the patterns it agrees with have prefixes.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    roots: HashMap<(u16, u32), Node>,
}

/// A connection whose pattern matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// Index of the connection.
    pub(crate) conn: u32,
    /// Place of the pattern among its own.
    pub(crate) place: u8,
    /// The same for all that match by one pattern.
    pub(crate) group: u32,
}

#[derive(Debug, Default)]
struct Node {
    // SipHash: tokens come from peers.
    children: HashMap<Box<str>, Box<Self>>,
    /// Behind `*`.
    any: Option<Box<Self>>,
    /// Whose pattern ends here: connection → place of the pattern among its own.
    ends: FxHashMap<u32, u8>,
    /// Whose pattern ends in `>` here.
    rests: FxHashMap<u32, u8>,
}

impl Tries {
    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    pub(crate) fn insert(
        &mut self,
        home: u16,
        interval_ms: u32,
        pattern: &Pattern,
        (conn, place): (u32, u8),
    ) {
        let mut node = self.roots.entry((home, interval_ms)).or_default();
        for token in pattern.as_str().split('.') {
            node = match token {
                ">" => {
                    node.rests.insert(conn, place);
                    return;
                }
                "*" => node.any.get_or_insert_default(),
                _ => node.children.entry(token.into()).or_default(),
            };
        }
        node.ends.insert(conn, place);
    }

    /// Takes a connection's pattern out, and the nodes that nobody needs any more.
    pub(crate) fn remove(&mut self, home: u16, interval_ms: u32, pattern: &Pattern, conn: u32) {
        let Some(root) = self.roots.get_mut(&(home, interval_ms)) else { return };
        root.remove(Some(pattern.as_str()), conn);
        if root.is_empty() {
            self.roots.remove(&(home, interval_ms));
        }
    }

    /// Adds to `out` whose patterns match the stream's topic, group by group. A name that begins
    /// with `$` is for the engine's own use: no pattern matches it.
    pub(crate) fn find(&self, stream: &Stream<'_>, out: &mut Vec<Match>) {
        if self.roots.is_empty() || stream.name.starts_with('$') {
            return;
        }
        if let Some(root) = self.roots.get(&(stream.home, stream.interval_ms)) {
            root.find(Some(stream.topic()), &mut 0, out);
        }
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        let Self { children, any, ends, rests } = self;
        children.is_empty() && any.is_none() && ends.is_empty() && rests.is_empty()
    }

    fn find(&self, rest: Option<&str>, group: &mut u32, out: &mut Vec<Match>) {
        let matching = if rest.is_some() { &self.rests } else { &self.ends };
        if !matching.is_empty() {
            let group = *group;
            out.extend(matching.iter().map(|(&conn, &place)| Match { conn, place, group }));
        }
        *group += 1;
        let Some(rest) = rest else { return };
        let (token, rest) = first_token(rest);
        if let Some(child) = self.children.get(token) {
            child.find(rest, group, out);
        }
        if let Some(any) = &self.any {
            any.find(rest, group, out);
        }
    }

    fn remove(&mut self, rest: Option<&str>, conn: u32) {
        let Some(rest) = rest else {
            self.ends.remove(&conn);
            return;
        };
        let (token, rest) = first_token(rest);
        match token {
            ">" => drop(self.rests.remove(&conn)),
            "*" => {
                if let Some(any) = &mut self.any {
                    any.remove(rest, conn);
                    if any.is_empty() {
                        self.any = None;
                    }
                }
            }
            _ => {
                if let Some(child) = self.children.get_mut(token) {
                    child.remove(rest, conn);
                    if child.is_empty() {
                        self.children.remove(token);
                    }
                }
            }
        }
    }
}

fn first_token(name: &str) -> (&str, Option<&str>) {
    name.split_once('.').map_or((name, None), |(token, rest)| (token, Some(rest)))
}
