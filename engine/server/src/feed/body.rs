//! Layouts of binary payloads that a client is told with the subscription.

use corecast_feed::event::Body;
use std::fmt;
use std::sync::Arc;

/// Says which topics have binary payloads of a known layout.
#[derive(Clone, Default)]
pub(crate) struct Bodies(Option<Arc<Lookup>>);

type Lookup = dyn Fn(&str) -> Option<Body<'static>> + Send + Sync;

impl Bodies {
    /// Topics, without the end that names a variant, and their layouts.
    pub(crate) fn new(
        lookup: impl Fn(&str) -> Option<Body<'static>> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(lookup)))
    }

    /// The layout of a stream's payloads. A variant that may join several has none.
    pub(crate) fn of(&self, stream: &str) -> Option<Body<'static>> {
        self.0.as_ref().and_then(|lookup| lookup(stream))
    }
}

impl fmt::Debug for Bodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bodies").field(&self.0.is_some()).finish()
    }
}
