//! What addresses and users hold, counted for all shards together: SO_REUSEPORT spreads one
//! address over them. Asked where a connection begins and ends, never on the data path.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use corecast_gate::budget::{Denied, Place, Table, address_key};
use corecast_gate::network::any_contains;

use crate::config::{AddressConfig, UserConfig};
use crate::lock::Lock;

/// Tables among which keys are spread by their hash, so that shards seldom wait for each other.
const TABLES: u32 = 16;

/// The counters of one engine.
#[derive(Debug)]
pub(crate) struct Budgets {
    addresses: Box<[Lock<Table>]>,
    users: Box<[Lock<Table>]>,
    /// Credentials that were refused, by address.
    failures: Box<[Lock<Table>]>,
    /// Two seeds of this process make 128 bits of a user's name: no two names meet.
    seeds: [RandomState; 2],
}

/// One connection that is counted, until this is dropped.
#[must_use = "what is dropped is no longer counted"]
pub(crate) struct Charge {
    budgets: Arc<Budgets>,
    place: Place,
    table: u8,
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Address,
    User,
}

impl Default for Budgets {
    fn default() -> Self {
        let tables = || (0..TABLES).map(|_| Lock::default()).collect();
        let (addresses, users, failures) = (tables(), tables(), tables());
        Self { addresses, users, failures, seeds: Default::default() }
    }
}

impl Budgets {
    /// Counts one more connection of an address. `None`: it has no bounds.
    ///
    /// # Errors
    /// Where it has as many as it may have, or came too often of late.
    pub(crate) fn charge_address(
        self: &Arc<Self>,
        address: IpAddr,
        config: &AddressConfig,
        now_ns: u64,
    ) -> Result<Option<Charge>, Denied> {
        if !config.is_bounded() || any_contains(&config.exempt, address) {
            return Ok(None);
        }
        let key = address_key(address, config.ipv6_prefix);
        let table = table_of(self.seeds[0].hash_one(key));
        let bounds = config.bounds(TABLES);
        let place = self.addresses[usize::from(table)].lock().enter(key, &bounds, now_ns)?;
        Ok(Some(Charge { budgets: Arc::clone(self), place, table, of: Of::Address }))
    }

    /// Counts one more connection of a user. `None`: users have no bounds.
    ///
    /// # Errors
    /// Where he has as many as he may have.
    pub(crate) fn charge_user(
        self: &Arc<Self>,
        user: &str,
        config: &UserConfig,
        now_ns: u64,
    ) -> Result<Option<Charge>, Denied> {
        if config.connections_max == 0 {
            return Ok(None);
        }
        let [high, low] = [&self.seeds[0], &self.seeds[1]].map(|seed| seed.hash_one(user));
        let key = u128::from(high) << 64 | u128::from(low);
        let table = table_of(high);
        let place = self.users[usize::from(table)].lock().enter(key, &config.bounds(), now_ns)?;
        Ok(Some(Charge { budgets: Arc::clone(self), place, table, of: Of::User }))
    }

    /// Whether an address may try a credential.
    ///
    /// # Errors
    /// Where too many of its were refused: the nanoseconds until it may.
    pub(crate) fn may_try(
        &self,
        address: IpAddr,
        config: &AddressConfig,
        now_ns: u64,
    ) -> Result<(), u64> {
        let Some((key, table)) = self.failures_of(address, config) else { return Ok(()) };
        table.lock().check(key, &config.failure_bounds(TABLES), now_ns)
    }

    /// Counts a credential of an address that was refused.
    pub(crate) fn failed(&self, address: IpAddr, config: &AddressConfig, now_ns: u64) {
        if let Some((key, table)) = self.failures_of(address, config) {
            table.lock().spend(key, &config.failure_bounds(TABLES), now_ns);
        }
    }

    fn failures_of(&self, address: IpAddr, config: &AddressConfig) -> Option<(u128, &Lock<Table>)> {
        if config.auth_failures_per_second_max == 0 || any_contains(&config.exempt, address) {
            return None;
        }
        let key = address_key(address, config.ipv6_prefix);
        Some((key, &self.failures[usize::from(table_of(self.seeds[0].hash_one(key)))]))
    }

    fn table(&self, of: Of, table: u8) -> &Lock<Table> {
        let tables = match of {
            Of::Address => &self.addresses,
            Of::User => &self.users,
        };
        &tables[usize::from(table)]
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budgets.table(self.of, self.table).lock().leave(self.place);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.of).finish()
    }
}

fn table_of(hash: u64) -> u8 {
    (hash % u64::from(TABLES)) as u8
}

const _: () = assert!(size_of::<Option<Charge>>() <= 16);

#[cfg(test)]
mod tests {
    use super::*;
    use corecast_gate::budget::Refusal;
    use std::thread;

    fn config() -> AddressConfig {
        AddressConfig { connections_max: 3, exempt: Vec::new(), ..AddressConfig::default() }
    }

    fn held(budgets: &Budgets) -> u32 {
        let key = address_key("192.0.2.1".parse().expect("an address"), 64);
        budgets.addresses.iter().map(|table| table.lock().connections(key)).sum()
    }

    #[test]
    fn what_is_dropped_is_no_longer_counted() {
        let (budgets, config) = (Arc::new(Budgets::default()), config());
        let address = "192.0.2.1".parse().expect("an address");
        let charge = || budgets.charge_address(address, &config, 1);
        let charges: Vec<_> = (0..3).map(|_| charge().expect("room")).collect();
        assert_eq!(held(&budgets), 3);
        assert_eq!(charge().expect_err("full").refusal, Refusal::Connections);
        drop(charges);
        assert_eq!(held(&budgets), 0);
        assert!(charge().is_ok());
    }

    #[test]
    fn no_count_is_lost_between_shards() {
        let budgets = Arc::new(Budgets::default());
        let config = AddressConfig { handshakes_per_second_max: 0, ..config() };
        let address = "192.0.2.1".parse().expect("an address");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        drop(budgets.charge_address(address, &config, 1));
                    }
                });
            }
        });
        assert_eq!(held(&budgets), 0);
        let entries = budgets.addresses.iter().map(|table| table.lock().len()).sum::<usize>();
        assert_eq!(entries, 0, "nobody is remembered for nothing");
    }

    #[test]
    fn users_are_told_apart_and_counted_wherever_they_are() {
        let budgets = Arc::new(Budgets::default());
        let config = UserConfig { connections_max: 1 };
        let ada = budgets.charge_user("ada", &config, 1).expect("room");
        assert!(budgets.charge_user("ada", &config, 1).is_err());
        let bob = budgets.charge_user("bob", &config, 1);
        assert!(bob.is_ok_and(|charge| charge.is_some()));
        drop(ada);
        assert!(budgets.charge_user("ada", &config, 1).is_ok());
        let none = UserConfig { connections_max: 0 };
        assert!(budgets.charge_user("ada", &none, 1).is_ok_and(|charge| charge.is_none()));
    }
}
