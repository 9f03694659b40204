//! Every key of the configuration: its unit, and a sentence. Default, type and bound come from the
//! structs themselves ([`keys`](super::keys)).

use super::auth;
use super::keys::{Key, key};
use super::tls::TLS;
use corecast::Policy;

/// In the order in which the reference tells them.
pub(super) const REFERENCE: &[Key] = &joined::<
    { OWN.len() + auth::reference::KEYS.len() + TLS.len() },
>(&[OWN, auth::reference::KEYS, TLS]);

const OWN: &[Key] = &[
    key("listen", "", "Address and port to listen on; port 0 lets the kernel choose one.")
        .text("an address and port"),
    key("shards", "", "Shards, each a thread on a core of its own; 0: one for each usable CPU."),
    key("cpus", "", "CPUs for the shards, in turn; none: all that the process may use."),
    key(
        "backend",
        "",
        "How frames reach the sockets: one io_uring submission for many of them, or \
        one system call each.",
    )
    .one_of(&["ring", "sendmsg"]),
    key(
        "policies",
        "",
        "What a backlog does, by topic pattern; the first that matches holds, and \
        where none does, `lossless`.",
    ),
    key(
        "namespaces",
        "",
        "What holds for the topics of the feed that share their first token; \
        topics of no namespace are unknown.",
    )
    .reloadable(),
    key("policies[].pattern", "", "Topics: dot-separated tokens, `*` for one, `>` for the rest.")
        .text("a pattern")
        .required(),
    key("policies[].policy", "", "What a backlog does to them.").one_of(POLICIES).required(),
    key("namespaces[].name", "", "First token of its topics; `*`: all that no other names.")
        .text("`*`, or letters, digits and `_-:/+=@~`, without a dot")
        .reloadable(),
    key("namespaces[].policy", "", "What a backlog does.").one_of(POLICIES).reloadable(),
    key("namespaces[].allow", "", "Policies that a subscriber may ask for besides.")
        .one_of(POLICIES)
        .reloadable(),
    key(
        "namespaces[].snapshot",
        "",
        "What who joins gets first: nothing, the last message, the \
        last of each key, or what the publisher sends as snapshot and the messages since.",
    )
    .one_of(&["none", "last", "keys", "published"])
    .reloadable(),
    key(
        "namespaces[].history_entries",
        "messages",
        "Messages of a stream kept for those who \
        resume or ask, at most; 0: none.",
    )
    .reloadable(),
    key("namespaces[].history_bytes", "bytes", "Bytes of a stream's history at most.").reloadable(),
    key("namespaces[].history_age_ms", "ms", "Age of a kept message at most; 0: no bound.")
        .reloadable(),
    key("namespaces[].presence", "", "Whether who subscribes and who leaves is told the others.")
        .reloadable(),
    key(
        "namespaces[].presence_max",
        "members",
        "Members of a topic at most; one more is not \
        subscribed.",
    )
    .reloadable(),
    key(
        "namespaces[].publish",
        "",
        "Who may publish: ingest and admin port alone, or clients too.",
    )
    .one_of(&["server", "clients"])
    .reloadable(),
    key(
        "namespaces[].open",
        "",
        "Whether subscribing makes a topic; else it must have been \
        published to.",
    )
    .reloadable(),
    key("namespaces[].payload", "", "What publishers send: JSON, or any bytes.")
        .one_of(&["json", "binary"])
        .reloadable(),
    key(
        "namespaces[].interval_min_ms",
        "ms",
        "The smallest interval of a conflated variant, such \
        as `@100ms`; 0: there are none.",
    )
    .reloadable(),
    key("namespaces[].variants_max", "variants", "Conflated variants of one topic at a time.")
        .reloadable(),
    key(
        "namespaces[].stale_after_ms",
        "ms",
        "A topic whose publisher is silent that long is \
        called stale; 0: never.",
    )
    .reloadable(),
    key("namespaces[].message_bytes_max", "bytes", "Bytes of one message's payloads and key.")
        .reloadable(),
    key("namespaces[].topics_max", "topics", "Topics of the namespace, of one shard, at most.")
        .reloadable(),
    key(
        "namespaces[].compress",
        "",
        "What is compressed, where compression is enabled: what \
        `compression.what` says, nothing, messages of conflated variants and snapshots, or every \
        message.",
    )
    .one_of(&["default", "off", "batches", "all"])
    .reloadable(),
    key("outbox.bytes_max", "bytes", "Bytes queued for one connection at most."),
    key("outbox.frames_max", "frames", "Frames queued for one connection at most."),
    key("outbox.age_max_ms", "ms", "Age of a queued frame at most; then its policy applies."),
    key(
        "outbox.stall_max_ms",
        "ms",
        "A connection with a backlog that takes no byte for so long is \
        closed.",
    ),
    key(
        "connection.connections_max",
        "connections",
        "Connections of one shard at most; one more \
        is answered 503.",
    ),
    key(
        "connection.message_bytes_max",
        "bytes",
        "Bytes of one incoming message at most; more is \
        closed with 1009.",
    ),
    key(
        "connection.message_parts_max",
        "fragments",
        "Fragments of one incoming message at most; \
        more is closed with 1008.",
    ),
    key(
        "connection.control_frames_per_second_max",
        "frames/s",
        "Control frames of one connection \
        in a second at most; more is closed with 1008.",
    ),
    key(
        "connection.messages_per_second_max",
        "messages/s",
        "Messages of one connection in a second, on \
        average; 0: any number. 50 in 10 s are a rate of 5 with a burst of 50.",
    )
    .reloadable(),
    key(
        "connection.messages_burst",
        "messages",
        "Messages of one connection at once, after a silence.",
    )
    .reloadable(),
    key(
        "connection.bytes_per_second_max",
        "bytes/s",
        "Bytes of one connection in a second, on average, \
        frame headers included, of what was compressed those that it stands for; 0: any number.",
    )
    .reloadable(),
    key("connection.bytes_burst", "bytes", "Bytes of one connection at once, after a silence.")
        .reloadable(),
    key(
        "connection.over",
        "",
        "What becomes of a connection that sends more messages or bytes: it is \
        closed with 4429, or not read until it has made up for it.",
    )
    .one_of(&["close", "slow"])
    .reloadable(),
    key("connection.handshake_timeout_ms", "ms", "Time for the whole opening handshake."),
    key(
        "connection.message_timeout_ms",
        "ms",
        "Time for a message to arrive whole; longer is \
        closed with 1008.",
    ),
    key(
        "connection.ping_interval_ms",
        "ms",
        "A connection that was silent that long is pinged; 0: \
        never.",
    ),
    key("connection.pong_timeout_ms", "ms", "Time for the answer to a ping."),
    key(
        "connection.idle_timeout_ms",
        "ms",
        "A connection whose peer sent no message that long is \
        closed; 0: never.",
    ),
    key("connection.close_timeout_ms", "ms", "Time for the closing handshake."),
    key(
        "address.connections_max",
        "connections",
        "Connections of one address at once, on all shards \
        together; one more is answered 429, or closed before TLS; 0: any number.",
    )
    .reloadable(),
    key(
        "address.handshakes_per_second_max",
        "connections/s",
        "Connections that one address begins in a \
        second, on average; more are answered 429, or closed before TLS; 0: any number.",
    )
    .reloadable(),
    key(
        "address.handshakes_burst",
        "connections",
        "Connections that one address begins at once, after \
        a silence.",
    )
    .reloadable(),
    key(
        "address.auth_failures_per_second_max",
        "credentials/s",
        "Guesses of one address (tokens with a wrong signature, headers to which the hook says \
        no) that are answered in a second, on average; others get 429; 0: any number.",
    )
    .reloadable(),
    key("address.auth_failures_burst", "credentials", "The same at once, after a silence.")
        .reloadable(),
    key("address.ipv6_prefix", "bits", "Bits of an IPv6 address that are one client's.")
        .reloadable(),
    key(
        "address.entries_max",
        "addresses",
        "Addresses that are counted each for itself, about 100 bytes \
        each; who comes beyond them shares one budget.",
    )
    .reloadable(),
    key("address.exempt", "", "Networks that have no bounds.").reloadable(),
    key(
        "user.connections_max",
        "connections",
        "Connections of one user at once, on all shards together; \
        one more is refused; 0: any number.",
    )
    .reloadable(),
    key(
        "proxy.trusted",
        "",
        "Networks of proxies whose word on a client's address is believed; nobody \
        else's is.",
    )
    .reloadable(),
    key(
        "proxy.protocol",
        "",
        "Which PROXY protocol they speak, on each of their connections; one without \
        it is closed.",
    )
    .one_of(&["none", "v1", "v2", "any"])
    .reloadable(),
    key(
        "proxy.header",
        "",
        "In which header field they name the client; whether it came to them by https, they say \
        in `X-Forwarded-Proto`, or in `Forwarded` as well.",
    )
    .one_of(&["none", "x-forwarded-for", "forwarded"])
    .reloadable(),
    key("topics.topic_bytes_max", "bytes", "Bytes of a topic's name at most."),
    key("topics.topics_max", "topics", "Topics of one shard at most."),
    key("topics.subscriptions_max", "subscriptions", "Subscriptions of one connection at most."),
    key("socket.send_buffer_bytes", "bytes", "`SO_SNDBUF`; 0: the kernel's own tuning."),
    key(
        "socket.notsent_lowat_bytes",
        "bytes",
        "`TCP_NOTSENT_LOWAT`, so that a backlog waits where \
        policies see it; 0: off.",
    ),
    key("socket.backlog", "connections", "Length of the accept queue; 0: `net.core.somaxconn`."),
    key("mesh.pending_publishes_max", "messages", "Publications pending between shards at most."),
    key("mesh.pending_bytes_max", "bytes", "Bytes of pending publications at most."),
    key("flush.batch_max", "sockets", "Sockets that one submission serves."),
    key("flush.direct_max", "sockets", "Up to so many sockets are written to directly."),
    key(
        "flush.window_us",
        "µs",
        "How long frames may pile up before they are written: later, but \
        many in one write; 0: not at all.",
    ),
    key(
        "flush.window_under_load",
        "",
        "Whether the window is kept only while writing takes more \
        than half of the shard's time.",
    ),
    key(
        "poll.spin_us",
        "µs",
        "How long a shard asks the kernel again and again before it sleeps; \
        0: not at all.",
    ),
    key(
        "poll.spin_always",
        "",
        "Whether it does so before every sleep, and not only where the \
        waits of late were short: the lowest latency, for a CPU that is always busy.",
    ),
    key(
        "compression.enabled",
        "",
        "Whether permessage-deflate is agreed to with clients that offer it.",
    ),
    key(
        "compression.what",
        "",
        "What is compressed, once for all that get it: messages of conflated variants \
        and snapshots, or every message and reply. Not what holds a secret beside what a stranger \
        may choose: its length tells.",
    )
    .one_of(&["batches", "all"]),
    key("compression.level", "", "From 1, the fastest, to 9, the smallest."),
    key("compression.threshold_bytes", "bytes", "Shorter frames are sent as they are."),
    key(
        "compression.client_context",
        "",
        "Whether a client's messages may refer back to those before them: its connection \
        then keeps an inflater of 42 KiB.",
    ),
    key(
        "compression.inflaters_max",
        "inflaters",
        "Inflaters that the connections of one shard keep from one read to \
        the next, at most; beyond them no client has a context, and fragments wait compressed.",
    ),
    key("feed.enabled", "", "Whether `corecast serve` speaks the feed's protocol."),
    key("feed.path", "", "Its path.").text("a path that is not under `/ws/`"),
    key("feed.heartbeat_ms", "ms", "Time between two heartbeats; 0: there are none.").reloadable(),
    key(
        "feed.errors_max",
        "errors/min",
        "Malformed commands of one connection in a minute at \
        most; one more is closed with 1008.",
    )
    .reloadable(),
    key(
        "feed.commands_per_second_max",
        "commands/s",
        "Commands of one connection in a second, on \
        average; more are answered 429; 0: no bound.",
    )
    .reloadable(),
    key(
        "feed.commands_burst",
        "commands",
        "Commands that a connection may send at once, after it \
        was silent.",
    )
    .reloadable(),
    key("feed.topics_per_command_max", "topics", "Topics and patterns of one command at most.")
        .reloadable(),
    key(
        "feed.identity",
        "",
        "Who a client is: nobody by name, or the user that `?user=` names, \
        without proof (for development, or behind a gateway that writes it).",
    )
    .one_of(&["anonymous", "query"])
    .reloadable(),
    key("feed.send", "", "To whom clients may `send`.").one_of(&["off", "users"]).reloadable(),
    key("feed.history_reply_max", "messages", "Messages of one answer to `history` at most.")
        .reloadable(),
    key("ingest.tcp", "", "Address and port for publishers over TCP.")
        .text("an address and port; `\"\"`: none"),
    key("ingest.unix", "", "Path of the Unix socket for publishers.")
        .text("a path of at most 107 bytes; `\"\"`: none"),
    key(
        "ingest.token_file",
        "",
        "File with the tokens of publishers, one to a line: who shows none of them in its `hello` \
        is refused. SIGHUP reads it again.",
    )
    .text("a path; `\"\"`: none is asked for"),
    key("ingest.publishers_max", "connections", "Publishers connected at a time, at most."),
    key(
        "ingest.record_bytes_max",
        "bytes",
        "Bytes of one record at most; a longer one ends the \
        connection.",
    ),
    key(
        "admin.listen",
        "",
        "Address and port for operators, who without `admin.token_file` are asked for no proof: \
        keep it on loopback.",
    )
    .text("an address and port; `\"\"`: none"),
    key(
        "admin.token_file",
        "",
        "File with the tokens of operators, one to a line: a request without one of them as \
        `Authorization: Bearer` is answered 401 or 403, except for `/healthz`. SIGHUP reads it \
        again.",
    )
    .text("a path; `\"\"`: none is asked for"),
    key(
        "admin.body_bytes_max",
        "bytes",
        "Bytes of one request's body at most; more is answered \
        413.",
    ),
    key(
        "admin.batch_max",
        "messages",
        "Messages of one `POST /publish/batch` at most; more is \
        answered 413.",
    ),
    key(
        "shutdown.drain_ms",
        "ms",
        "At the end: time for queued messages and closing handshakes; what is not closed by then \
        is cut.",
    ),
    key(
        "shutdown.spread_ms",
        "ms",
        "At the end: the Closes are spread over so long at most (2 ms for each connection), so \
        that not all clients come back at once.",
    ),
    key(
        "shutdown.linger_ms",
        "ms",
        "At the end: time during which `/healthz` says 503 and all else goes on, for a load \
        balancer to notice.",
    ),
    key(
        "shutdown.code",
        "",
        "What clients are told at SIGTERM and SIGINT: 1001 or 1012; SIGUSR2 always means 1012.",
    )
    .one_of(&["going_away", "restart"]),
    key(
        "take_over.unix",
        "",
        "Path of the Unix socket at which this process offers its place to one of the same user \
        that is started with `--take-over`: listeners, topics and their numbers.",
    )
    .text("a path of at most 107 bytes; `\"\"`: none"),
    key(
        "take_over.state_bytes_max",
        "bytes",
        "Bytes of topics that are taken over at most; more begin a new epoch.",
    ),
    key("log.level", "", "Which log lines there are.")
        .text("error, warn, info, debug, trace, or directives such as `corecast_shard=debug`")
        .reloadable(),
];

/// All keys of these parts, whose number is known.
const fn joined<const COUNT: usize>(parts: &[&[Key]]) -> [Key; COUNT] {
    let mut keys = [key("", "", ""); COUNT];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            keys[at] = parts[part][index];
            (index, at) = (index + 1, at + 1);
        }
        part += 1;
    }
    assert!(at == COUNT);
    keys
}

const POLICIES: &[&str] = &{
    let mut names = [""; Policy::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Policy::ALL[index].as_str();
        index += 1;
    }
    names
};
