/// What bounds the cluster's DNS, in one place.
public enum DNSLimits {
    /// Bytes of a name, its length bytes and the root's zero included (RFC 1035, 2.3.4).
    public static let name = 255
    /// Bytes of a label.
    public static let label = 63
    /// Bytes of an answer over UDP to a client that says nothing of its own bound.
    public static let plainDatagram = 512
    /// The largest answer over UDP, which no usual path cuts in pieces (DNS flag day 2020).
    public static let datagram = 1232
    /// Bytes of a message over TCP.
    public static let message = 65_535
    /// Bytes of the records of one prepared answer; a Service with more endpoints shows as many as fit.
    public static let records = 60_000
    /// Steps of a chain of CNAMEs inside the zone.
    public static let aliases = 8
    /// Questions that wait for upstream resolvers at one time; a further one is answered with SERVFAIL.
    public static let exchanges = 512
    /// Clients that wait for those questions.
    public static let waiters = 4096
    /// Answers of upstream resolvers that are kept.
    public static let cachedAnswers = 4096
    /// Bytes of the answers that are kept.
    public static let cachedBytes = 4 << 20
    /// The longest that an answer is kept, in seconds, whatever its records say.
    public static let longestTTL: UInt32 = 3600
    /// The longest that it is remembered that a name is not there, in seconds.
    public static let longestNegativeTTL: UInt32 = 30
    /// How long it is remembered that all upstream resolvers failed (RFC 9520), in seconds.
    public static let failureTTL: UInt32 = 1
    /// How long an upstream resolver may take to answer a datagram.
    public static let attempt = Duration.milliseconds(1500)
    /// How long it may take over TCP.
    public static let streamAttempt = Duration.seconds(3)
    /// Attempts at one question; they fit in the five seconds that a client waits.
    public static let attempts = 3
    /// How long a resolver that did not answer is asked last.
    public static let rest = Duration.seconds(10)
    /// Upstream resolvers in use.
    public static let upstreams = 8
}
