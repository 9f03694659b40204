//! What a shard knows of its edge: the bounds of now, the counters it shares with the others, and
//! how each connection came in.

use std::cell::{Cell, Ref, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use corecast_gate::budget::{Denied, Level, MeterRates};
use corecast_gate::proxy::ProxyHeader;
use corecast_hub::Timestamp;

use crate::budget::{Budgets, Charge};
use crate::config::{AddressConfig, Config, Over, ProxyConfig, UserConfig};
use crate::handler::Handler;
use crate::meter::Meters;
use crate::proxy;
use crate::refusal::{LINES, Lingering};
use crate::shard::Shard;
use crate::stats::ShardStats;

/// The bounds that may change while an engine runs, for [`Engine::set_limits`](crate::Engine).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) address: AddressConfig,
    pub(crate) user: UserConfig,
    pub(crate) proxy: ProxyConfig,
    pub(crate) rates: MeterRates,
    pub(crate) over: Over,
}

/// The edge of one shard.
pub(crate) struct Edge {
    limits: RefCell<Arc<Limits>>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) lingering: Lingering,
    pub(crate) meters: Meters,
    lines: Cell<Level>,
    /// Whether a proxy that names nobody was told of.
    told_silent: Cell<bool>,
    stats: Arc<ShardStats>,
}

/// How a connection came in, for as long as it lasts. Who has no bounds, and no proxy, has none of
/// it.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// What its address is charged with, until this is dropped.
    pub(crate) charge: Option<Charge>,
    /// The proxy that spoke for the client.
    pub(crate) proxy: Option<SocketAddr>,
    /// The PROXY header that is still to come.
    pub(crate) header: Option<Box<ProxyHeader>>,
    /// A field of the request is to say who the client is.
    pub(crate) by_field: bool,
    /// Whether the client came by TLS to the proxy that spoke for it, where that has said so.
    pub(crate) is_secure: Option<bool>,
}

/// One connection of a user, counted until this is dropped: keep it in the connection's data.
#[derive(Debug)]
#[must_use = "what is dropped is no longer counted"]
pub struct UserCharge(#[expect(dead_code, reason = "it is there to be dropped")] Option<Charge>);

/// A user has as many connections as he may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this user has {connections_max} connections, and may have no more")]
pub struct TooMany {
    /// As many as one may have at once.
    pub connections_max: u32,
}

/// Too many credentials of an address were refused of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many credentials of this address were refused: try again in {retry_after:?}")]
pub struct TooManyFailures {
    /// When the next one will be looked at.
    pub retry_after: Duration,
}

impl Limits {
    /// Those of a configuration. Their numbers are not checked: [`Config::check`] does that.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            address: config.address.clone(),
            user: config.user.clone(),
            proxy: config.proxy.clone(),
            rates: config.connection.rates(),
            over: config.connection.over,
        }
    }
}

impl Edge {
    pub(crate) fn new(config: &Config, budgets: Arc<Budgets>, stats: Arc<ShardStats>) -> Self {
        let limits = RefCell::new(Arc::new(Limits::of(config)));
        let meters = Meters::default();
        meters.set(&limits.borrow().rates);
        let (lingering, lines, told_silent) = Default::default();
        Self { limits, budgets, lingering, meters, lines, told_silent, stats }
    }

    /// Counts one more connection of a user.
    pub(crate) fn charge_user(&self, user: &str, now_ns: u64) -> Result<UserCharge, TooMany> {
        let bounds = &self.limits.borrow().user;
        match self.budgets.charge_user(user, bounds, now_ns) {
            Ok(charge) => Ok(UserCharge(charge)),
            Err(_) => {
                self.stats.refused_by_user.add(1);
                Err(TooMany { connections_max: bounds.connections_max })
            }
        }
    }

    /// Whether a client's address may try a credential; the operator is told where it may not.
    pub(crate) fn may_try(&self, client: SocketAddr, now_ns: u64) -> Result<(), TooManyFailures> {
        let address = client.ip();
        let tried = self.budgets.may_try(address, &self.limits().address, now_ns);
        tried.map_err(|wait_ns| {
            if self.may_tell(Timestamp(now_ns)) {
                tracing::warn!(%address, "refused: too many bad credentials of this address");
            }
            TooManyFailures { retry_after: Duration::from_nanos(wait_ns) }
        })
    }

    /// Counts a credential of a client's address that was refused.
    pub(crate) fn failed(&self, client: SocketAddr, now_ns: u64) {
        self.budgets.failed(client.ip(), &self.limits().address, now_ns);
    }

    /// Other bounds hold from now on. Who is in stays in.
    pub(crate) fn set_limits(&self, limits: Arc<Limits>) {
        self.meters.set(&limits.rates);
        *self.limits.borrow_mut() = limits;
    }

    /// The bounds of now.
    pub(crate) fn limits(&self) -> Ref<'_, Limits> {
        Ref::map(self.limits.borrow(), |limits| &**limits)
    }

    /// Counts one more connection of an address. `None`: it has no bounds.
    ///
    /// # Errors
    /// Where it has, or had of late, as many as it may have.
    pub(crate) fn charge(
        &self,
        client: SocketAddr,
        now: Timestamp,
    ) -> Result<Option<Charge>, Denied> {
        self.budgets.charge_address(client.ip(), &self.limits().address, now.0)
    }

    /// Counts one more connection of a trusted proxy that does not say for whom it is. It has
    /// bounds though it may be exempt: that is meant for clients of its address.
    ///
    /// # Errors
    /// As [`Edge::charge`].
    pub(crate) fn charge_unnamed(
        &self,
        proxy: SocketAddr,
        now: Timestamp,
    ) -> Result<Option<Charge>, Denied> {
        let bounds = AddressConfig { exempt: Vec::new(), ..self.limits().address.clone() };
        self.budgets.charge_address(proxy.ip(), &bounds, now.0)
    }

    /// Whether this is the first proxy that names nobody.
    pub(crate) fn is_first_silent(&self) -> bool {
        !self.told_silent.replace(true)
    }

    /// Whether one more line may go to the log.
    pub(crate) fn may_tell(&self, now: Timestamp) -> bool {
        let mut level = self.lines.get();
        let may = LINES.take(&mut level, 1, now.0).is_ok();
        self.lines.set(level);
        may
    }
}

/// Lets a peer in, or not: before anything is read of it. Who is trusted to speak for others is not
/// charged for them.
///
/// # Errors
/// Where its address has or had as many connections as it may.
pub(crate) fn enter<H: Handler>(
    shard: &Shard<H>,
    peer: SocketAddr,
) -> Result<Option<Box<Entrance>>, Denied> {
    if let Some(entrance) = proxy::entrance(&shard.edge.limits().proxy, peer) {
        return Ok(Some(entrance));
    }
    let charge = shard.edge.charge(peer, shard.clock.now())?;
    Ok(charge.map(|charge| {
        let (proxy, header, is_secure) = (None, None, None);
        Box::new(Entrance { charge: Some(charge), proxy, header, by_field: false, is_secure })
    }))
}
