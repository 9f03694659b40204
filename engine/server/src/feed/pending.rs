//! Commands that wait for an answer of another shard, by the token that comes back with it.

use super::limits::COMMANDS_IN_FLIGHT_MAX;

/// A bounded slab. An empty one has no storage.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    places: Vec<Option<(u32, T)>>,
    used: usize,
    /// Distinguishes the users of one place.
    turn: u32,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { places: Vec::new(), used: 0, turn: 0 }
    }
}

impl<T> Pending<T> {
    /// Keeps what waits. None: there are too many.
    pub(crate) fn insert(&mut self, what: T) -> Option<u64> {
        if self.used == COMMANDS_IN_FLIGHT_MAX {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let entry = Some((self.turn, what));
        let place = match self.places.iter().position(Option::is_none) {
            Some(place) => {
                self.places[place] = entry;
                place
            }
            None => {
                self.places.push(entry);
                self.places.len() - 1
            }
        };
        self.used += 1;
        Some(u64::from(self.turn) << 32 | place as u64)
    }

    /// What waits under this token.
    pub(crate) fn get_mut(&mut self, token: u64) -> Option<&mut T> {
        let (turn, what) = self.places.get_mut(place(token)?)?.as_mut()?;
        (*turn == turn_of(token)).then_some(what)
    }

    /// Takes out what waits under this token.
    pub(crate) fn remove(&mut self, token: u64) -> Option<T> {
        self.get_mut(token)?;
        let (_, what) = self.places.get_mut(place(token)?)?.take()?;
        self.used -= 1;
        if self.used == 0 {
            self.places = Vec::new();
        }
        Some(what)
    }
}

fn place(token: u64) -> Option<usize> {
    usize::try_from(token & u64::from(u32::MAX)).ok()
}

const fn turn_of(token: u64) -> u32 {
    (token >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_finds_its_own_and_no_other() {
        let mut pending = Pending::default();
        let a = pending.insert("a").expect("room");
        let b = pending.insert("b").expect("room");
        assert_eq!(pending.remove(a), Some("a"));
        assert_eq!(pending.remove(a), None);
        let c = pending.insert("c").expect("room");
        assert_ne!(a, c, "the same place, another user");
        assert_eq!(pending.get_mut(a), None);
        assert_eq!(pending.get_mut(c), Some(&mut "c"));
        assert_eq!((pending.remove(b), pending.remove(c)), (Some("b"), Some("c")));
        assert_eq!(pending.places.capacity(), 0, "nothing waits, nothing is kept");
        assert_eq!(pending.get_mut(u64::MAX), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut pending = Pending::default();
        let tokens: Vec<_> = std::iter::from_fn(|| pending.insert(())).collect();
        assert_eq!(tokens.len(), COMMANDS_IN_FLIGHT_MAX);
        assert!(pending.remove(tokens[5]).is_some() && pending.insert(()).is_some());
    }
}
