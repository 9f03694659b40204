//! `[tls]`: its keys in the reference. The settings themselves are the engine's.

use super::keys::{Key, key};

pub(super) const TLS: &[Key] = &[
    key(
        "tls.listen",
        "",
        "Address and port that speak TLS beside `listen`; without one, and with certificates, \
        `listen` itself speaks TLS.",
    )
    .text("an address and port; `\"\"`: none"),
    key(
        "tls.certificates",
        "",
        "Certificates, of which a client gets the one that has the name it asks for (SNI), else \
        the first; none: TLS is not spoken. SIGHUP reads the files again.",
    )
    .reloadable(),
    key(
        "tls.client_ca",
        "",
        "PEM file of the authorities that sign the certificates of clients, which are then asked \
        for one.",
    )
    .text("a path; `\"\"`: none")
    .reloadable(),
    key("tls.client_required", "", "Whether a client without a certificate is refused.")
        .reloadable(),
    key("tls.versions", "", "Versions of TLS that are spoken.")
        .one_of(&["1.2", "1.3"])
        .reloadable(),
    key(
        "tls.tickets",
        "",
        "Whether clients get tickets, with which they resume a session without a new signature.",
    )
    .reloadable(),
    key(
        "tls.handshakes_max",
        "handshakes",
        "TLS handshakes of one shard under way at most; what others send waits in the kernel.",
    ),
    key(
        "tls.handshake_timeout_ms",
        "ms",
        "Time for the TLS handshake, from the moment that the connection is accepted.",
    ),
    key("tls.certificates[].chain", "", "PEM file of the certificate, and those above it.")
        .text("a path")
        .required()
        .reloadable(),
    key("tls.certificates[].key", "", "PEM file of its private key.")
        .text("a path")
        .required()
        .reloadable(),
];
