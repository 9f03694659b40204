//! The instruments of the synthetic market: names people know, prices that look right, nothing
//! real.

/// One instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instrument {
    /// Base asset and quote currency, as in topics: `BTCUSD`.
    pub(crate) symbol: &'static str,
    /// The price it begins with and is drawn back to, in quote currency.
    pub(crate) price: f64,
    /// Digits after the decimal point; the tick is one unit of the last.
    pub(crate) decimals: u32,
    /// Standard deviation of a year's return, as a fraction.
    pub(crate) volatility: f64,
}

const fn of(symbol: &'static str, price: f64, decimals: u32, volatility: f64) -> Instrument {
    Instrument { symbol, price, decimals, volatility }
}

/// All instruments, the busiest first: messages fall off with the rank.
pub(crate) const INSTRUMENTS: [Instrument; 48] = [
    of("BTCUSD", 61_700.0, 1, 0.55),
    of("ETHUSD", 2_680.0, 2, 0.65),
    of("SOLUSD", 156.0, 3, 0.85),
    of("XRPUSD", 0.61, 5, 0.8),
    of("BNBUSD", 518.0, 2, 0.55),
    of("DOGEUSD", 0.104, 6, 0.95),
    of("ADAUSD", 0.343, 5, 0.8),
    of("AVAXUSD", 21.8, 3, 0.9),
    of("LINKUSD", 10.4, 4, 0.85),
    of("LTCUSD", 61.2, 3, 0.7),
    of("DOTUSD", 4.55, 4, 0.8),
    of("TRXUSD", 0.128, 6, 0.45),
    of("TONUSD", 6.31, 4, 0.85),
    of("MATICUSD", 0.417, 5, 0.9),
    of("UNIUSD", 5.98, 4, 0.95),
    of("BCHUSD", 334.0, 2, 0.8),
    of("NEARUSD", 3.92, 4, 1.0),
    of("ICPUSD", 7.41, 4, 0.9),
    of("APTUSD", 5.87, 4, 0.95),
    of("FILUSD", 3.64, 4, 0.9),
    of("ATOMUSD", 4.41, 4, 0.85),
    of("ARBUSD", 0.546, 5, 1.0),
    of("OPUSD", 1.31, 4, 1.05),
    of("INJUSD", 17.9, 3, 1.05),
    of("SUIUSD", 0.862, 5, 1.1),
    of("SEIUSD", 0.281, 5, 1.1),
    of("TIAUSD", 5.02, 4, 1.1),
    of("AAVEUSD", 98.3, 3, 0.95),
    of("MKRUSD", 2_015.0, 1, 0.8),
    of("RUNEUSD", 3.55, 4, 1.05),
    of("LDOUSD", 1.07, 4, 1.05),
    of("GRTUSD", 0.148, 6, 1.0),
    of("ALGOUSD", 0.124, 6, 0.85),
    of("XLMUSD", 0.0994, 6, 0.75),
    of("XMRUSD", 152.0, 2, 0.6),
    of("ETCUSD", 19.1, 3, 0.75),
    of("HBARUSD", 0.0542, 6, 0.9),
    of("VETUSD", 0.0213, 7, 0.85),
    of("EGLDUSD", 26.4, 3, 0.9),
    of("SANDUSD", 0.256, 5, 1.0),
    of("MANAUSD", 0.262, 5, 1.0),
    of("AXSUSD", 4.63, 4, 1.0),
    of("THETAUSD", 1.12, 4, 1.0),
    of("FTMUSD", 0.327, 5, 1.1),
    of("FLOWUSD", 0.561, 5, 0.9),
    of("CRVUSD", 0.273, 5, 1.15),
    of("SNXUSD", 1.29, 4, 1.05),
    of("ENJUSD", 0.142, 6, 1.0),
];
