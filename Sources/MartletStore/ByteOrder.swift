#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif

/// Keys are ordered by their bytes, a prefix before what it begins.
enum ByteOrder {
    /// Negative when `a` comes before `b`, 0 when they are equal, positive otherwise.
    static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        let shared = min(a.count, b.count)
        if shared > 0 {
            let order = unsafe a.withUnsafeBufferPointer { left in
                unsafe b.withUnsafeBufferPointer { right in
                    guard let l = left.baseAddress, let r = right.baseAddress else { return Int32(0) }
                    return unsafe memcmp(l, r, shared)
                }
            }
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }
}

/// A range of keys: from `from` up to, not including, `to`.
public struct KeyRange: Sendable, Hashable {
    /// The first key.
    public var from: [UInt8]
    /// One past the last key.
    public var to: [UInt8]
    /// A range by its ends.
    public init(from: [UInt8], to: [UInt8]) {
        self.from = from
        self.to = to
    }
    /// Whether `key` is inside.
    public func contains(_ key: [UInt8]) -> Bool {
        ByteOrder.compare(key, from) >= 0 && ByteOrder.compare(key, to) < 0
    }
}

/// A 64-bit digest of all that was applied, chained entry by entry: equal on members whose states are equal. It finds
/// mistakes and damage, not malice.
public struct StateHash: Sendable, Hashable {
    /// The digest.
    public private(set) var value: UInt64

    /// The chain's beginning, or where it stood at a checkpoint.
    public init(value: UInt64 = 0) { self.value = value }

    /// Adds an entry.
    public mutating func absorb(index: UInt64, _ payload: [UInt8]) {
        var state = Self.mix(value ^ index)
        state = Self.mix(state ^ UInt64(payload.count))
        unsafe payload.withUnsafeBytes { bytes in
            var offset = 0
            while offset + 8 <= bytes.count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                state = Self.mix(state ^ UInt64(littleEndian: word))
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < bytes.count {
                tail = unsafe tail << 8 | UInt64(bytes[offset])
                offset += 1
            }
            state = Self.mix(state ^ tail)
        }
        value = state
    }

    /// The finalizer of SplitMix64: every input bit reaches every output bit.
    private static func mix(_ input: UInt64) -> UInt64 {
        var z = input &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
