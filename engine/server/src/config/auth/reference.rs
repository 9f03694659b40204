//! The keys of `[auth]` and `[origin]`.

use crate::config::keys::{Key, key};

/// In the order in which the reference tells them.
pub(in crate::config) const KEYS: &[Key] = &[
    key(
        "auth.mode",
        "",
        "Whether a token is asked for: of nobody; of who wants more than the rights of \
        `[auth.anonymous]`; or of everybody. SIGHUP does not turn it off.",
    )
    .one_of(&["off", "optional", "required"])
    .reloadable(),
    key("auth.bearer", "", "Whether `Authorization: Bearer` is looked at for a token.")
        .reloadable(),
    key(
        "auth.cookie",
        "",
        "Cookie that is looked at; browsers send it for any page, so it needs a rule for origins.",
    )
    .text("letters, digits, `_`, `-`, `.`; `\"\"`: none")
    .reloadable(),
    key(
        "auth.query",
        "",
        "Query parameter that is looked at; URLs stand in the logs of proxies, ours leave it out.",
    )
    .text("letters, digits, `_`, `-`, `.`; `\"\"`: none")
    .reloadable(),
    key(
        "auth.first_message",
        "",
        "Whether a client of the feed may send its token after the upgrade, in an `auth`.",
    )
    .reloadable(),
    key("auth.deadline_ms", "ms", "Time for that first `auth`; later is closed with 4408.")
        .reloadable(),
    key(
        "auth.leeway_s",
        "s",
        "How much clocks of issuers may differ from ours; a session lasts that much longer than \
        its token's `exp`.",
    )
    .reloadable(),
    key("auth.expiry_required", "", "Whether a token must have an end (`exp`).").reloadable(),
    key(
        "auth.audience",
        "",
        "Whom tokens are for: each must name one of these in `aud`; none: tokens with an `aud` \
        are refused.",
    )
    .reloadable(),
    key("auth.sources", "", "Who issues tokens, and where the keys are.").reloadable(),
    key(
        "auth.anonymous.subscribe",
        "",
        "Patterns of topics that who has no token may subscribe to, with `mode = \"optional\"`.",
    )
    .reloadable(),
    key("auth.anonymous.publish", "", "Patterns of topics that such a one may publish to.")
        .reloadable(),
    key(
        "auth.default.subscribe",
        "",
        "Patterns of topics for tokens that have no claim `topics`: to subscribe to.",
    )
    .reloadable(),
    key("auth.default.publish", "", "The same: to publish to.").reloadable(),
    key(
        "auth.sources[].name",
        "",
        "What logs call it; where there are several, its users are `name:sub`.",
    )
    .text("letters, digits, `_`, `-`, `.`")
    .required()
    .reloadable(),
    key(
        "auth.sources[].issuer",
        "",
        "What its tokens say in `iss`, exactly; needed where there are several sources.",
    )
    .text("a text; `\"\"`: anything")
    .reloadable(),
    key(
        "auth.sources[].secret_file",
        "",
        "File with a shared secret of 32 bytes at least, for HS256.",
    )
    .text("a path; `\"\"`: none")
    .reloadable(),
    key("auth.sources[].secret_env", "", "Environment variable with such a secret.")
        .text("a name; `\"\"`: none")
        .reloadable(),
    key(
        "auth.sources[].secret_encoding",
        "",
        "How the secret is written: its bytes themselves, or in base64url.",
    )
    .one_of(&["raw", "base64url"])
    .reloadable(),
    key(
        "auth.sources[].public_key_file",
        "",
        "File with a public key in PEM: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).",
    )
    .text("a path; `\"\"`: none")
    .reloadable(),
    key("auth.sources[].jwks_file", "", "File with a JWK set (RFC 7517).")
        .text("a path; `\"\"`: none")
        .reloadable(),
    key(
        "auth.sources[].jwks_url",
        "",
        "Address of a JWK set; the server starts without it, and refuses its tokens with 503 \
        until it has answered.",
    )
    .text("an address with https, or http on loopback; `\"\"`: none")
    .reloadable(),
    key("auth.sources[].algorithms", "", "Algorithms that are taken; none: those of its keys.")
        .one_of(&["HS256", "RS256", "ES256", "EdDSA"])
        .reloadable(),
    key("auth.sources[].refresh_ms", "ms", "Time between two looks at `jwks_url`.").reloadable(),
    key(
        "auth.sources[].age_max_ms",
        "ms",
        "How long its keys are trusted while `jwks_url` does not answer.",
    )
    .reloadable(),
    key(
        "auth.hook.url",
        "",
        "Address of a service that is asked by POST who may do what; what goes wrong with it is a \
        no.",
    )
    .text("an address with https, or http on loopback; `\"\"`: none"),
    key("auth.hook.on", "", "What it is asked about.").one_of(&["connect", "subscribe", "publish"]),
    key("auth.hook.timeout_ms", "ms", "Time for an answer, that in the queue included."),
    key(
        "auth.hook.cache_ms",
        "ms",
        "How long an answer is remembered, for the same question alone; 0: not at all.",
    ),
    key("auth.hook.cache_max", "answers", "Answers that each shard remembers at most."),
    key("auth.hook.concurrency_max", "questions", "Questions that are asked at once at most."),
    key("auth.hook.queue_max", "questions", "Questions that wait at most; one more is a no."),
    key(
        "auth.hook.headers",
        "",
        "Headers of the request that it is told when somebody connects, such as `cookie`.",
    ),
    key(
        "origin.allow",
        "",
        "Pages that may connect, each as `https://host` or `https://host:port`, compared as a \
        whole; `*` alone: any.",
    )
    .text("origins; `*`")
    .reloadable(),
    key(
        "origin.same",
        "",
        "Whether pages of the server itself may connect: those whose origin is the request's \
        `Host`, where that is one of `origin.hosts`.",
    )
    .reloadable(),
    key(
        "origin.hosts",
        "",
        "What the server itself is called, each as `host`, at any port, or `host:port`; none: any \
        address, and `localhost`. Another name may be somebody else's who has it lead here.",
    )
    .text("hosts")
    .reloadable(),
    key("origin.absent", "", "Whether who sends no `Origin` may connect: programs, not browsers.")
        .reloadable(),
];
