//! Which certificate a client gets: the one that has the name it asks for (SNI, RFC 6066 §3).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by their names. The first one is for clients that ask for no name, or for one that
/// none has: they find out by themselves that it is not theirs.
#[derive(Debug, Default)]
pub(super) struct Names {
    first: Option<Arc<CertifiedKey>>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the asterisk's label: `example.com` for `*.example.com`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    /// Adds a certificate. Returns those of its names that another one has already, which keeps
    /// them.
    pub(super) fn add<'n>(
        &mut self,
        certified: Arc<CertifiedKey>,
        names: &'n [String],
    ) -> Vec<&'n str> {
        let mut taken = Vec::new();
        for name in names {
            let (map, key) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcards, parent),
                None => (&mut self.exact, name.as_str()),
            };
            match map.entry(key.to_ascii_lowercase()) {
                Entry::Occupied(_) => taken.push(name.as_str()),
                Entry::Vacant(place) => {
                    place.insert(Arc::clone(&certified));
                }
            }
        }
        self.first.get_or_insert(certified);
        taken
    }

    /// An exact name before a wildcard, which stands for one label.
    ///
    //= RFC 6125 §6.4.3
    //# If the wildcard character is the only character of the left-most
    //# label in the presented identifier, the client SHOULD NOT compare
    //# against anything but the left-most label of the reference
    //# identifier
    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.map(str::to_ascii_lowercase).and_then(|name| {
            let of_parent = || self.wildcards.get(name.split_once('.')?.1);
            self.exact.get(&name).or_else(of_parent)
        });
        named.or(self.first.as_ref())
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn certified() -> Arc<CertifiedKey> {
        let made = rcgen::generate_simple_self_signed(["n".to_owned()]).expect("made");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let chain = vec![made.cert.der().clone()];
        Arc::new(CertifiedKey::from_der(chain, key, &default_provider()).expect("a pair"))
    }

    #[test]
    fn an_exact_name_comes_before_a_wildcard_and_the_first_certificate_last() {
        let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let [first, exact, wild] = [certified(), certified(), certified()];
        let mut names = Names::default();
        assert!(names.add(Arc::clone(&first), &of(&["a.example"])).is_empty());
        assert!(names.add(Arc::clone(&exact), &of(&["feed.b.example"])).is_empty());
        assert!(names.add(Arc::clone(&wild), &of(&["*.B.example"])).is_empty());
        assert_eq!(names.add(certified(), &of(&["A.example", "*.b.example"])).len(), 2);
        for (name, expected) in [
            (Some("a.example"), &first),
            (Some("Feed.b.Example"), &exact),
            (Some("x.b.example"), &wild),
            (Some("x.y.b.example"), &first),
            (Some("b.example"), &first),
            (Some("elsewhere"), &first),
            (None, &first),
        ] {
            let found = names.find(name).expect("a certificate");
            assert!(Arc::ptr_eq(found, expected), "{name:?}");
        }
    }
}
