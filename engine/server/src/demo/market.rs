//! A synthetic market: for each instrument a random walk with mean-reverting volatility, a common
//! factor that moves all of them, a spread that widens when it gets rough, quotes and trades.
//!
//! Time is passed in, and everything random comes from one seed: a seed and a rate give the same
//! market.

use super::arrivals::Arrivals;
use super::random::Random;
use super::symbols::{INSTRUMENTS, Instrument};
use bytes::Bytes;
use corecast_feed::binary::Quote;
use corecast_feed::event::Body;
use std::fmt::Write;

/// Of all messages so many are trades, the rest quotes: as in the recording, books left out.
const TRADE_SHARE: f64 = 0.22;
/// Seconds of a year: a crypto market never closes.
const YEAR_SECONDS: f64 = 365.25 * 86_400.0;
/// How much of an instrument's variance is the whole market's.
const COMMON_VARIANCE: f64 = 0.5;
/// Time constant, in seconds, with which log-volatility comes back to its mean.
const VOLATILITY_DECAY: f64 = 120.0;
/// Stationary standard deviation of log-volatility.
const VOLATILITY_SPREAD: f64 = 0.45;
/// Time constant, in seconds, with which prices are drawn back, so that a demo may run for weeks.
const PRICE_DECAY: f64 = 6.0 * 3_600.0;
/// The usual spread, as a fraction of the price.
const SPREAD: f64 = 0.000_08;
/// Weight of rank r: (r + OFFSET) to the minus EXPONENT.
const RANK_OFFSET: f64 = 2.0;
const RANK_EXPONENT: f64 = 1.1;
/// Probability that a trade is on the same side as the one before in its instrument.
const SIDE_PERSISTENCE: f64 = 0.68;

/// One message of the market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Which instrument, as an index into [`INSTRUMENTS`].
    pub(crate) instrument: usize,
    /// Quote or trade.
    pub(crate) kind: Kind,
}

/// What a message tells. Prices are in ticks, sizes in units of the base asset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// The best bid and ask.
    Quote { bid: i64, bid_size: f64, ask: i64, ask_size: f64 },
    /// A trade at `price`; `buy` is the side that took liquidity.
    Trade { price: i64, size: f64, buy: bool },
}

/// The whole market.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    arrivals: Arrivals,
    random: Random,
    books: Vec<Book>,
    /// Upper ends of the instruments' shares of [0, 1).
    shares: Vec<f64>,
    now: f64,
    common: f64,
}

impl Market {
    /// A market with `mean_rate` messages a second in the long run.
    pub(crate) fn new(mean_rate: f64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let arrivals = Arrivals::new(mean_rate, random.split());
        let weight = |rank: usize| (rank as f64 + RANK_OFFSET).powf(-RANK_EXPONENT);
        let total: f64 = (0..INSTRUMENTS.len()).map(weight).sum();
        let shares = (0..INSTRUMENTS.len())
            .scan(0.0, |sum, rank| {
                *sum += weight(rank) / total;
                Some(*sum)
            })
            .collect();
        let books =
            INSTRUMENTS.iter().map(|instrument| Book::new(instrument, &mut random)).collect();
        Self { arrivals, random, books, shares, now: 0.0, common: 0.0 }
    }

    /// The next message, and when it comes, in seconds since the beginning.
    pub(crate) fn next(&mut self) -> (f64, Tick) {
        let wait = self.arrivals.next();
        self.now += wait;
        // Markets move in event time: a burst of messages is a burst of volatility.
        let activity = self.arrivals.activity().clamp(0.3, 8.0);
        let step = (wait * activity * COMMON_VARIANCE / YEAR_SECONDS).sqrt();
        self.common += step * self.random.normal() - self.common * wait / PRICE_DECAY;
        let draw = self.random.uniform();
        let instrument = self.shares.partition_point(|&end| end <= draw).min(self.books.len() - 1);
        let random = &mut self.random;
        let book = &mut self.books[instrument];
        book.move_to(self.now, activity, self.common, random);
        let kind =
            if random.uniform() < TRADE_SHARE { book.trade(random) } else { book.quote(random) };
        (self.now, Tick { instrument, kind })
    }
}

/// One instrument's state.
#[derive(Clone, Debug)]
struct Book {
    instrument: &'static Instrument,
    ticks_per_unit: f64,
    moved_at: f64,
    /// The logarithm of the price over its first value, without the common factor.
    own: f64,
    log_volatility: f64,
    /// Price in ticks, not rounded.
    middle: f64,
    bid: i64,
    ask: i64,
    last_was_buy: bool,
}

impl Book {
    fn new(instrument: &'static Instrument, random: &mut Random) -> Self {
        let ticks_per_unit = 10_f64.powi(instrument.decimals as i32);
        let mut book = Self {
            instrument,
            ticks_per_unit,
            moved_at: 0.0,
            own: 0.0,
            log_volatility: VOLATILITY_SPREAD * random.normal(),
            middle: instrument.price * ticks_per_unit,
            bid: 0,
            ask: 0,
            last_was_buy: random.uniform() < 0.5,
        };
        book.place(random);
        book
    }

    fn move_to(&mut self, now: f64, activity: f64, common: f64, random: &mut Random) {
        let waited = now - self.moved_at;
        self.moved_at = now;
        // An Ornstein-Uhlenbeck step of any length, exact.
        let keep = (-waited / VOLATILITY_DECAY).exp();
        let fresh = VOLATILITY_SPREAD * (1.0 - keep * keep).sqrt();
        self.log_volatility = self.log_volatility * keep + fresh * random.normal();
        let own_variance = waited * activity * (1.0 - COMMON_VARIANCE) / YEAR_SECONDS;
        self.own += own_variance.sqrt() * self.log_volatility.exp() * random.normal();
        self.own *= (-waited / PRICE_DECAY).exp();
        let Instrument { price, volatility, .. } = *self.instrument;
        let log_return = volatility * (common + self.own);
        self.middle = price * log_return.exp() * self.ticks_per_unit;
    }

    /// Quotes around the middle; the spread widens with the volatility.
    fn place(&mut self, random: &mut Random) {
        let rough = self.log_volatility.exp() * (0.6 + 0.8 * random.uniform());
        let half = (self.middle * SPREAD * rough / 2.0).max(0.5);
        self.bid = ((self.middle - half).floor() as i64).max(1);
        self.ask = ((self.middle + half).ceil() as i64).max(self.bid + 1);
    }

    fn quote(&mut self, random: &mut Random) -> Kind {
        self.place(random);
        let (bid_size, ask_size) = (self.size(3.0, random), self.size(3.0, random));
        Kind::Quote { bid: self.bid, bid_size, ask: self.ask, ask_size }
    }

    fn trade(&mut self, random: &mut Random) -> Kind {
        // The middle may have left the last quote behind: a trade never happens outside of a quote.
        self.place(random);
        let same_side = random.uniform() < SIDE_PERSISTENCE;
        let buy = self.last_was_buy == same_side;
        self.last_was_buy = buy;
        let price = if buy { self.ask } else { self.bid };
        Kind::Trade { price, size: self.size(1.0, random), buy }
    }

    /// Sizes are log-normal in money: about 2,000 units of quote currency, a few times more in
    /// quotes.
    fn size(&self, times: f64, random: &mut Random) -> f64 {
        let money = 2_000.0 * times * (1.1 * random.normal()).exp();
        (money / (self.middle / self.ticks_per_unit)).max(0.000_1)
    }
}

/// Writes the message of `tick` as JSON into `out`, published at `ts` (wall clock, ns since 1970).
pub(crate) fn encode(tick: &Tick, ts: u64, out: &mut String) {
    let Instrument { symbol, decimals, .. } = INSTRUMENTS[tick.instrument];
    let price = |ticks| Price { ticks, decimals };
    // Writing to a string does not fail.
    let _ = match tick.kind {
        Kind::Quote { bid, bid_size, ask, ask_size } => write!(
            out,
            "{{\"symbol\":\"{symbol}\",\"bid\":{},\"bid_size\":{bid_size:.4},\
             \"ask\":{},\"ask_size\":{ask_size:.4},\"ts\":{ts}}}",
            price(bid),
            price(ask),
        ),
        Kind::Trade { price: at, size, buy } => write!(
            out,
            r#"{{"symbol":"{symbol}","price":{},"size":{size:.4},"side":"{}","ts":{ts}}}"#,
            price(at),
            if buy { "buy" } else { "sell" },
        ),
    };
}

/// The 40 bytes that a quote is for subscribers with the binary encoding; a trade has none.
pub(crate) fn quote_bytes(tick: &Tick, ts: u64) -> Option<Bytes> {
    let Kind::Quote { bid, bid_size, ask, ask_size } = tick.kind else { return None };
    let size = |size: f64| (size * 10_f64.powi(-i32::from(SIZE_EXPONENT))).round() as i64;
    let (bid_size, ask_size) = (size(bid_size), size(ask_size));
    let venue_time = i64::try_from(ts).unwrap_or(i64::MAX);
    let quote = Quote { bid, bid_size, ask, ask_size, venue_time };
    Some(Bytes::copy_from_slice(&quote.to_bytes()))
}

/// What the bytes of a topic mean; only those of one symbol's quotes are such.
pub(crate) fn body(topic: &str) -> Option<Body<'static>> {
    let symbol = topic.strip_prefix("quote.")?;
    let symbol = symbol.split_once('@').map_or(symbol, |(symbol, _interval)| symbol);
    let instrument = INSTRUMENTS.iter().find(|instrument| instrument.symbol == symbol)?;
    let price_exponent = -i8::try_from(instrument.decimals).ok()?;
    Some(Body { layout: "quote".into(), price_exponent, size_exponent: SIZE_EXPONENT })
}

/// Sizes have four digits behind the point, in JSON as in bytes.
const SIZE_EXPONENT: i8 = -4;

/// A price in ticks, written exactly.
struct Price {
    ticks: i64,
    decimals: u32,
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = 10_i64.pow(self.decimals);
        let digits = self.decimals as usize;
        write!(f, "{}.{:0digits$}", self.ticks / one, self.ticks % one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(seed: u64, n: usize) -> Vec<(f64, Tick)> {
        let mut market = Market::new(1_000.0, seed);
        (0..n).map(|_| market.next()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_market_again() {
        assert_eq!(ticks(42, 2_000), ticks(42, 2_000));
        assert_ne!(ticks(42, 50), ticks(43, 50));
    }

    #[test]
    fn all_instruments_quote_and_trade_with_plausible_prices() {
        let (mut quotes, mut trades) = ([0_u32; 48], [0_u32; 48]);
        let mut latest = 0.0;
        for (time, tick) in ticks(1, 300_000) {
            assert!(time >= latest);
            latest = time;
            let Instrument { price, decimals, symbol, .. } = INSTRUMENTS[tick.instrument];
            let unit = 10_f64.powi(decimals as i32);
            let plausible = |ticks: i64| {
                let ratio = ticks as f64 / unit / price;
                assert!((0.9..1.1).contains(&ratio), "{symbol} at {ratio} of its first price");
            };
            match tick.kind {
                Kind::Quote { bid, bid_size, ask, ask_size } => {
                    assert!(bid < ask && bid_size > 0.0 && ask_size > 0.0, "{tick:?}");
                    let spread = (ask - bid) as f64 / bid as f64;
                    assert!(spread < 0.002, "{symbol} has a spread of {spread}");
                    plausible(bid);
                    plausible(ask);
                    quotes[tick.instrument] += 1;
                }
                Kind::Trade { price, size, .. } => {
                    assert!(size > 0.0);
                    plausible(price);
                    trades[tick.instrument] += 1;
                }
            }
        }
        assert!(quotes.iter().chain(&trades).all(|&n| n > 50), "{quotes:?} {trades:?}");
        let share = f64::from(trades.iter().sum::<u32>()) / 300_000.0;
        assert!((share - TRADE_SHARE).abs() < 0.01, "{share} are trades");
        assert!(quotes[0] > 5 * quotes[47], "the first is much busier than the last");
    }

    #[test]
    fn prices_move_as_much_as_their_volatility_says() {
        let mut returns = Vec::new();
        let mut first: Option<(f64, f64)> = None;
        for (time, tick) in ticks(9, 400_000) {
            let Kind::Quote { bid, ask, .. } = tick.kind else { continue };
            if tick.instrument != 0 {
                continue;
            }
            let middle = ((bid + ask) as f64).ln();
            match first {
                Some((at, value)) if time - at >= 5.0 => {
                    returns.push((middle - value) / (time - at).sqrt());
                    first = Some((time, middle));
                }
                None => first = Some((time, middle)),
                Some(_) => {}
            }
        }
        let variance = returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64;
        let yearly = (variance * YEAR_SECONDS).sqrt();
        println!("{} returns, {yearly:.2} a year", returns.len());
        assert!((0.3..1.6).contains(&yearly), "BTCUSD moves {yearly} a year");
    }

    #[test]
    fn messages_are_json_with_exact_prices() {
        let mut text = String::new();
        let quote = Kind::Quote { bid: 617_001, bid_size: 1.5, ask: 617_009, ask_size: 0.25 };
        encode(&Tick { instrument: 0, kind: quote }, 1_700_000_000_123_456_789, &mut text);
        assert_eq!(
            text,
            concat!(
                r#"{"symbol":"BTCUSD","bid":61700.1,"bid_size":1.5000,"#,
                r#""ask":61700.9,"ask_size":0.2500,"ts":1700000000123456789}"#
            )
        );
        text.clear();
        let trade = Kind::Trade { price: 60_003, size: 12.0, buy: false };
        encode(&Tick { instrument: 3, kind: trade }, 7, &mut text);
        assert_eq!(
            text,
            r#"{"symbol":"XRPUSD","price":0.60003,"size":12.0000,"side":"sell","ts":7}"#
        );
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(parsed["price"], 0.600_03);
    }

    #[test]
    fn a_quote_is_40_bytes_that_mean_the_same() {
        let quote = Kind::Quote { bid: 617_001, bid_size: 1.5, ask: 617_009, ask_size: 0.250_04 };
        let bytes = quote_bytes(&Tick { instrument: 0, kind: quote }, 17).expect("a quote");
        let found = Quote::from_bytes(&bytes).expect("40 bytes");
        assert_eq!((found.bid, found.ask, found.venue_time), (617_001, 617_009, 17));
        assert_eq!((found.bid_size, found.ask_size), (15_000, 2_500));
        let told = body("quote.BTCUSD@100ms").expect("a layout");
        assert_eq!((told.price_exponent, told.size_exponent), (-1, -4));
        assert!(body("market.all").is_none() && body("quote.NOPE").is_none());
        let trade = Kind::Trade { price: 1, size: 1.0, buy: true };
        assert_eq!(quote_bytes(&Tick { instrument: 0, kind: trade }, 17), None);
    }

    #[test]
    fn symbols_are_distinct_and_fit_for_topics() {
        let mut symbols: Vec<_> = INSTRUMENTS.iter().map(|i| i.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(symbols.len(), INSTRUMENTS.len());
        assert!(symbols.iter().all(|s| s.bytes().all(|b| b.is_ascii_uppercase())));
    }
}
