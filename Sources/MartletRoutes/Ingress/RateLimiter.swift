public import MartletBase

/// How often each client has come to each route lately: buckets that leak at the route's rate. As nginx counts: what
/// comes faster than the rate fills the bucket, and what does not fit is refused.
public struct RateLimiter: Sendable {
    /// So many clients are remembered at once. When there are more, those that have not come for a while are
    /// forgotten; when all have, everything is: a flood from many addresses costs no more memory than this.
    public static let mostClients = 65_536

    private struct Key: Hashable {
        var origin: RouteOrigin
        var client: IPAddress
        /// The length of the time that the rate is over, in seconds.
        var span: Int
    }
    private struct Bucket {
        /// What is in it, in thousandths of a request.
        var level: Int
        var time: MonotonicTime
    }
    private var buckets: [Key: Bucket] = [:]

    /// A limiter that has seen nobody.
    public init() {}

    /// Whether a client may ask once more: that is an address, or a network of 64 bits of IPv6.
    public mutating func admits(
        _ address: IPAddress, to origin: RouteOrigin, _ limits: RouteLimits, now: MonotonicTime
    ) -> Bool {
        if limits.exempt.contains(where: { $0.contains(address) }) { return true }
        var isGood = true
        for (rate, span) in [(limits.perSecond, 1), (limits.perMinute, 60)] where rate > 0 {
            let key = Key(origin: origin, client: address.clientNetwork, span: span)
            if !take(key, rate: rate, burst: rate * limits.burst, now) { isGood = false }
        }
        return isGood
    }

    private mutating func take(_ key: Key, rate: Int, burst: Int, _ now: MonotonicTime) -> Bool {
        if buckets.count >= Self.mostClients, buckets[key] == nil { makeRoom(now) }
        guard let bucket = buckets[key] else {
            buckets[key] = Bucket(level: 0, time: now)
            return true
        }
        // By the nanosecond: whoever comes more than once in a millisecond has what leaks in between, too.
        let passed = Int(clamping: max(0, (now - bucket.time).nanoseconds))
        let leaked = rate.multipliedReportingOverflow(by: passed)
        let level = leaked.overflow ? 0 : max(0, bucket.level - leaked.partialValue / (1_000_000 * key.span))
        // One more must fit.
        guard level + 1000 <= burst * 1000 else { return false }
        buckets[key] = Bucket(level: level + 1000, time: now)
        return true
    }

    private mutating func makeRoom(_ now: MonotonicTime) {
        buckets = buckets.filter { now - $0.value.time < .seconds(60) }
        if buckets.count >= Self.mostClients { buckets = [:] }
    }
}
