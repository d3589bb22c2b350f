public import MartletBase
public import MartletObject

/// The keys that sessions of TLS are kept under in clients' tickets, as all edges of a cluster share them (RFC 5077,
/// 5.5; RFC 8446, 4.6.1).
///
/// A value without a clock: whoever leads turns it when it is time. The key that comes next is told before anybody
/// seals with it, so that no edge is shown a ticket that it cannot open yet.
public struct TicketRing: Sendable, Hashable {
    /// How long new tickets are sealed with one key. What was sealed with one that is gone nobody can read any more.
    public static let period: Duration = .seconds(8 * 3600)
    /// The bytes of a key.
    public static let keySize = 80
    /// The one that comes next, the one in use, and the one before.
    private static let places = 3

    /// When the key in use came to be it.
    public private(set) var turnedAt: WallTime
    /// The newest first.
    private var keys: [[UInt8]]

    /// A ring of new keys.
    /// - Parameter draw: draws a key: ``keySize`` random bytes.
    public init(now: WallTime, _ draw: () -> [UInt8]) {
        turnedAt = now
        keys = [draw(), draw()]
    }

    /// Reads what ``json`` wrote; nil for anything else.
    public init?(_ json: JSON) {
        guard let time = json["turnedAt"]?.string.flatMap({ WallTime(rfc3339: $0) }),
            let texts = json["keys"]?.array, (2...Self.places).contains(texts.count)
        else { return nil }
        turnedAt = time
        keys = texts.compactMap { $0.string.flatMap { Base64.decode($0) } }
        guard keys.count == texts.count, keys.allSatisfy({ $0.count == Self.keySize }) else { return nil }
    }

    /// To be kept where only edges read it.
    public var json: JSON {
        ["turnedAt": .string(turnedAt.rfc3339), "keys": .array(keys.map { .string(Base64.encode($0)) })]
    }

    /// All keys, the one in use first.
    public var inUseFirst: [[UInt8]] { [keys[1], keys[0]] + keys.dropFirst(2) }

    /// Lets the next key take its turn when it is time. Keys that are older than they may get, and those from a time
    /// far ahead, make way for new ones; clocks of masters may differ a little.
    /// - Returns: whether anything has changed.
    public mutating func turn(now: WallTime, _ draw: () -> [UInt8]) -> Bool {
        let age = now - turnedAt
        if age <= .zero - Self.period || age >= Self.period * Self.places {
            self = TicketRing(now: now, draw)
            return true
        }
        if age < Self.period { return false }
        keys = Array(([draw()] + keys).prefix(Self.places))
        turnedAt = now
        return true
    }
}
