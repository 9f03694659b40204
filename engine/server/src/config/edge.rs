//! What is wrong, and what is odd, about budgets and about trust in proxies.

use corecast::Config;
use corecast::config::{Over, ProxyConfig, ProxyHeader};

/// What contradicts itself: the key, and why.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let ProxyConfig { trusted, header, .. } = &config.proxy;
    let mut problems = Vec::new();
    if config.proxy.is_on() && trusted.is_empty() {
        let key = if *header == ProxyHeader::None { "proxy.protocol" } else { "proxy.header" };
        let message = "nobody's word is believed: name the proxies' networks in proxy.trusted, as \
                       in [\"10.0.0.0/8\"]";
        problems.push((key, message.to_owned()));
    }
    let connection = &config.connection;
    let (bytes_burst, message_bytes_max) = (connection.bytes_burst, connection.message_bytes_max);
    let is_closed = connection.bytes_per_second_max > 0 && connection.over == Over::Close;
    if is_closed && (bytes_burst as usize) < message_bytes_max {
        let message = format!(
            "a message of connection.message_bytes_max = {message_bytes_max} would close its \
             connection: {bytes_burst} bytes at once are less"
        );
        problems.push(("connection.bytes_burst", message));
    }
    problems
}

/// What is most likely not what was meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let (address, proxy) = (&config.address, &config.proxy);
    let everything = proxy.trusted.iter().find(|network| network.is_everything());
    if let Some(everything) = everything.filter(|_| proxy.is_on()) {
        warnings.push(format!(
            "proxy.trusted has {everything}: whoever connects can say which address he has, and so \
             passes every bound on addresses"
        ));
    }
    if !proxy.is_on() && !proxy.trusted.is_empty() {
        warnings.push(
            "proxy.trusted without proxy.protocol and proxy.header: nobody is asked for an address"
                .to_owned(),
        );
    }
    if !config.listen.ip().is_loopback() && !address.is_bounded() {
        warnings.push(format!(
            "listen = {}, and no address has a bound: one client can take all connections. Set \
             address.connections_max or address.handshakes_per_second_max",
            config.listen
        ));
    }
    if let Some(everybody) = address.exempt.iter().find(|network| network.is_everything()) {
        warnings.push(format!("address.exempt has {everybody}: no address has a bound"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, parse};

    fn warnings(text: &str) -> Vec<String> {
        parse(text, &Environment::default()).expect("good settings").warnings
    }

    fn problem(text: &str) -> String {
        let problems = parse(text, &Environment::default()).expect_err("bad settings");
        assert_eq!(problems.len(), 1, "{problems:?}");
        format!("{}: {}", problems[0].key, problems[0].message)
    }

    #[test]
    fn trust_without_networks_is_refused() {
        for (text, key) in [
            ("[proxy]\nheader = \"x-forwarded-for\"", "proxy.header: "),
            ("[proxy]\nheader = \"forwarded\"\nprotocol = \"v2\"", "proxy.header: "),
            ("[proxy]\nprotocol = \"any\"", "proxy.protocol: "),
        ] {
            let said = problem(text);
            assert!(said.starts_with(key) && said.contains("proxy.trusted"), "{said}");
            assert_eq!(warnings(&format!("{text}\ntrusted = [\"10.0.0.0/8\", \"::1\"]")), [""; 0]);
        }
        let said = problem("[proxy]\ntrusted = [\"10.0.0.1/8\"]");
        assert!(said.contains("10.0.0.1/8") && said.contains("10.0.0.0/8"), "{said}");
    }

    #[test]
    fn trust_in_everybody_is_told() {
        for network in ["0.0.0.0/0", "::/0"] {
            let text = format!("[proxy]\nprotocol = \"v1\"\ntrusted = [\"{network}\"]");
            let said = warnings(&text);
            assert!(said.len() == 1 && said[0].contains(network), "{said:?}");
        }
        let said = warnings("[proxy]\ntrusted = [\"10.0.0.0/8\"]");
        assert!(said.len() == 1 && said[0].contains("proxy.header"), "{said:?}");
    }

    #[test]
    fn a_server_for_others_without_any_bound_is_told() {
        let unbounded = "[address]\nconnections_max = 0\nhandshakes_per_second_max = 0";
        let said = warnings(&format!("listen = \"0.0.0.0:9001\"\n{unbounded}"));
        assert!(said.len() == 1 && said[0].contains("address.connections_max"), "{said:?}");
        assert_eq!(warnings(unbounded), [""; 0], "loopback");
        assert_eq!(warnings("listen = \"0.0.0.0:9001\""), [""; 0], "the defaults are bounds");
        let said = warnings("[address]\nexempt = [\"0.0.0.0/0\"]");
        assert!(said.len() == 1 && said[0].contains("address.exempt"), "{said:?}");
    }

    #[test]
    fn a_budget_that_no_message_fits_is_refused() {
        let small = "[connection]\nbytes_per_second_max = 1\nbytes_burst = 65535\n";
        assert!(problem(small).contains("message_bytes_max = 65536"));
        assert_eq!(warnings(&format!("{small}over = \"slow\"")), [""; 0]);
    }
}
