//! What one name of a `subscribe` asks for: topic or pattern, interval, policy.

use super::codec::policy_of;
use super::refusal::Refusal;
use corecast::{
    AttachError, Namespace, Namespaces, Pattern, Policy, check_interval, check_topic,
    split_variant, variant_name,
};
use corecast_feed::ErrorCode;
use corecast_feed::command::DeliveryPolicy;
use corecast_feed::value::Rate;

/// A topic, a variant of it, or a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) stem: Stem,
    /// Milliseconds of the variant, 0 for none.
    pub(crate) interval_ms: u32,
}

/// A name without the end that names a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stem {
    Topic(Box<str>),
    Pattern(Pattern),
}

impl Name {
    /// Reads what a client wrote.
    ///
    /// # Errors
    ///
    /// When it is neither a topic, nor a variant, nor a pattern.
    pub(crate) fn read(text: &str, topic_bytes_max: usize) -> Result<Self, Refusal> {
        let (stem, interval_ms) = split_variant(text)?;
        let is_pattern = stem.split('.').any(|token| matches!(token, "*" | ">"));
        let stem = if is_pattern {
            Stem::Pattern(stem.parse::<Pattern>()?)
        } else {
            check_topic(stem, topic_bytes_max)?;
            Stem::Topic(stem.into())
        };
        Ok(Self { stem, interval_ms })
    }

    /// The name under which it is granted: that of the stream.
    pub(crate) fn granted(&self) -> Box<str> {
        variant_name(self.stem.as_str(), self.interval_ms).into()
    }
}

impl Stem {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Topic(topic) => topic,
            Self::Pattern(pattern) => pattern.as_str(),
        }
    }
}

/// What was asked for beside the name, as far as the namespaces decide it.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Terms {
    /// Milliseconds of the variant, 0 for none.
    pub(crate) interval_ms: u32,
    /// The rate that was granted, where one was asked for.
    pub(crate) max_hz: Option<Rate>,
    /// The rate that was asked for, where it is not granted.
    pub(crate) max_hz_not_granted: Option<Rate>,
    /// The policy, where another than the topic's own was asked for and granted.
    pub(crate) policy: Option<Policy>,
    /// The policy that was asked for, where it is not granted.
    pub(crate) policy_not_granted: Option<Policy>,
}

impl Terms {
    /// What the namespaces of a name grant.
    ///
    /// # Errors
    ///
    /// When there is no namespace for it, or it has no such variant.
    pub(crate) fn of(
        name: &Name,
        asked: Option<DeliveryPolicy>,
        namespaces: &Namespaces,
    ) -> Result<Self, Refusal> {
        let concerned = concerned(&name.stem, namespaces);
        if concerned.is_empty() {
            return Err(Refusal::unknown_topic());
        }
        for namespace in &concerned {
            check_interval(namespace, name.interval_ms)?;
        }
        let DeliveryPolicy { delivery, max_hz } = asked.unwrap_or_default();
        let mut terms = Self { interval_ms: name.interval_ms, ..Self::default() };
        if let Some(rate) = max_hz {
            terms.choose_interval(rate, &concerned)?;
        }
        if let Some(delivery) = delivery {
            let (wanted, interval_ms) = (policy_of(delivery), terms.interval_ms);
            let grants = |n: &&Namespace| n.policy_for(interval_ms, Some(wanted)) == wanted;
            if concerned.iter().all(grants) {
                terms.policy = Some(wanted);
            } else {
                terms.policy_not_granted = Some(wanted);
            }
        }
        Ok(terms)
    }

    /// The variant that keeps the rate, or the nearest that there is.
    fn choose_interval(&mut self, rate: Rate, concerned: &[&Namespace]) -> Result<(), Refusal> {
        let wanted_ms = rate.interval_ms().max(self.interval_ms);
        let mut interval_ms = wanted_ms;
        for namespace in concerned {
            match check_interval(namespace, interval_ms) {
                Ok(()) => {}
                Err(AttachError::NotAllowed { interval_min_ms: 0, .. }) => {
                    self.max_hz_not_granted = Some(rate);
                    return Ok(());
                }
                Err(AttachError::NotAllowed { interval_min_ms, .. }) => {
                    interval_ms = interval_ms.clamp(interval_min_ms, INTERVAL_MAX_MS);
                    check_interval(namespace, interval_ms)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.interval_ms = interval_ms;
        self.max_hz = Rate::of_interval_ms(interval_ms);
        self.max_hz_not_granted = (interval_ms != wanted_ms).then_some(rate);
        Ok(())
    }
}

const INTERVAL_MAX_MS: u32 = corecast::limits::hub::INTERVAL_MAX_MS;

// The slowest rate that the protocol knows is the slowest variant that there is.
const _: () = assert!(1_000.0 / corecast_feed::limits::RATE_HZ_MIN == INTERVAL_MAX_MS as f64);

/// The namespaces in which the topics of a name can be: those of a pattern that begins with a
/// wildcard are all.
fn concerned<'n>(stem: &Stem, namespaces: &'n Namespaces) -> Vec<&'n Namespace> {
    let text = stem.as_str();
    match text.split('.').next() {
        Some("*" | ">") => namespaces.iter().collect(),
        _ => namespaces.find(text).into_iter().collect(),
    }
}

/// Refuses a name that stands twice, or is subscribed to already.
pub(crate) fn conflict() -> Refusal {
    let message = "already subscribed: unsubscribe first, to have it otherwise";
    Refusal::new(ErrorCode::Conflict, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::Overflow;
    use corecast_feed::value::Delivery;

    fn namespaces() -> Namespaces {
        let named = |name: &str| Namespace { name: name.into(), ..Namespace::default() };
        let quote = Namespace {
            policy: Policy::Latest,
            allow: vec![Policy::LatestByKey],
            interval_min_ms: 50,
            ..named("quote")
        };
        let book = Namespace { interval_min_ms: 0, ..named("book") };
        Namespaces::new(vec![quote, book]).expect("namespaces")
    }

    fn terms(name: &str, delivery: Option<Delivery>, hz: Option<f64>) -> Result<Terms, Refusal> {
        let name = Name::read(name, 255)?;
        let max_hz = hz.map(|hz| Rate::new(hz).expect("a rate"));
        Terms::of(&name, Some(DeliveryPolicy { delivery, max_hz }), &namespaces())
    }

    #[test]
    fn names_are_topics_variants_or_patterns() {
        for (text, granted) in [
            ("quote.A", "quote.A"),
            ("quote.A@1s", "quote.A@1000ms"),
            ("quote.*@100ms", "quote.*@100ms"),
            ("quote.>", "quote.>"),
            ("btcusdt@bookTicker", "btcusdt@bookTicker"),
        ] {
            assert_eq!(&*Name::read(text, 255).expect(text).granted(), granted);
        }
        for text in ["", "a..b", "a b", "a.>.b", "a*", "a@0ms", "$user.x", "quote.A@1s@1s"] {
            let refusal = Name::read(text, 255).expect_err(text);
            assert_eq!(refusal.code, ErrorCode::Malformed, "{text}: {refusal:?}");
        }
    }

    #[test]
    fn a_rate_is_the_variant_of_its_interval_or_the_nearest() {
        let found = |hz| terms("quote.A", None, Some(hz)).expect("terms");
        assert_eq!((found(3.0).interval_ms, found(3.0).max_hz_not_granted), (334, None));
        let fast = found(1_000.0);
        assert_eq!((fast.interval_ms, fast.max_hz), (50, Rate::new(20.0)));
        assert_eq!(fast.max_hz_not_granted, Rate::new(1_000.0));
        let slow = found(1.0 / 60.0);
        assert_eq!((slow.interval_ms, slow.max_hz_not_granted.is_some()), (60_000, false));
        let none = terms("book.A", None, Some(10.0)).expect("terms");
        assert_eq!((none.interval_ms, none.max_hz), (0, None));
        assert_eq!(none.max_hz_not_granted, Rate::new(10.0));
        let slower = terms("quote.A@500ms", None, Some(10.0)).expect("terms");
        assert_eq!((slower.interval_ms, slower.max_hz), (500, Rate::new(2.0)));
        // A namespace without variants is among those that this pattern may meet.
        assert_eq!(terms("*.A", None, Some(10.0)).expect("terms").interval_ms, 0);
    }

    #[test]
    fn a_policy_is_granted_where_every_namespace_concerned_allows_it() {
        let found = |name, delivery| terms(name, Some(delivery), None).expect("terms");
        assert_eq!(found("quote.A", Delivery::Latest).policy, Some(Policy::Latest));
        assert_eq!(found("quote.A", Delivery::LatestByKey).policy, Some(Policy::LatestByKey));
        let refused = found("quote.A", Delivery::DropOldest);
        assert_eq!((refused.policy, refused.policy_not_granted), (None, Some(Policy::DropOldest)));
        assert_eq!(found("*.A", Delivery::Latest).policy_not_granted, Some(Policy::Latest));
        let keyed = terms("quote.A@100ms", Some(Delivery::LatestByKey), None).expect("terms");
        assert_eq!(keyed.policy_not_granted, Some(Policy::LatestByKey));
        let gap = Policy::Lossless { overflow: Overflow::Gap };
        assert_eq!(found("book.*", Delivery::LosslessGap).policy, Some(gap));
    }

    #[test]
    fn what_no_namespace_has_is_refused() {
        let code = |name| terms(name, None, None).expect_err(name).code;
        assert_eq!(code("trade.A"), ErrorCode::NotFound);
        assert_eq!(code("trade.*"), ErrorCode::NotFound);
        assert_eq!(code("book.A@100ms"), ErrorCode::Unsupported);
        assert_eq!(code("quote.A@10ms"), ErrorCode::Malformed);
    }
}
