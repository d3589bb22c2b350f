/// A 64-bit digest of a store's state, equal on members whose states are equal. It finds mistakes and damage, not
/// malice.
///
/// Pairs and leases add to it one by one, in no order, so that a change costs no more than its own bytes and a store
/// made from a checkpoint's rows comes to the same digest.
public struct StateHash: Sendable, Hashable {
    /// The digest.
    public var value: UInt64
    /// A digest that was kept somewhere.
    public init(value: UInt64 = 0) { self.value = value }

    private static let key0: UInt64 = 0xA076_1D64_78BD_642F
    private static let key1: UInt64 = 0xE703_7ED1_A0B4_28DB

    /// What a pair adds.
    static func of(_ pair: KeyValue) -> UInt64 {
        var state = fold(UInt64(bitPattern: pair.createRevision) ^ key0, UInt64(bitPattern: pair.modRevision) ^ key1)
        state ^= fold(UInt64(bitPattern: pair.version) ^ key1, UInt64(bitPattern: pair.lease) &+ key0)
        return mix(of(pair.value, seed: of(pair.key, seed: state)))
    }

    /// What a lease adds.
    static func of(lease id: Int64, ttl: Int64) -> UInt64 {
        mix(mix(UInt64(bitPattern: id) ^ key1) ^ UInt64(bitPattern: ttl))
    }

    /// A digest of bytes.
    static func of(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
        unsafe bytes.withUnsafeBytes { bytes in
            var a = seed ^ key0
            var b = seed &+ key1
            var offset = 0
            while offset + 32 <= bytes.count {
                a = unsafe fold(word(bytes, offset) ^ key0, word(bytes, offset + 8) ^ a)
                b = unsafe fold(word(bytes, offset + 16) ^ key1, word(bytes, offset + 24) ^ b)
                offset += 32
            }
            while offset + 8 <= bytes.count {
                a = unsafe fold(word(bytes, offset) ^ key1, a ^ b)
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < bytes.count {
                tail = unsafe tail << 8 | UInt64(bytes[offset])
                offset += 1
            }
            return mix(a ^ fold(b ^ tail, key0 ^ UInt64(bytes.count)))
        }
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Both halves of the product, one upon the other.
    @inline(__always)
    private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (high, low) = a.multipliedFullWidth(by: b)
        return high ^ low
    }

    /// The finalizer of SplitMix64: every input bit reaches every output bit.
    static func mix(_ input: UInt64) -> UInt64 {
        var z = input &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The parts that a state's digest is made of.
struct StateSums: Sendable, Hashable {
    /// The sum over live pairs.
    var pairs: UInt64 = 0
    /// The sum over leases.
    var leases: UInt64 = 0
    /// The digest of users and roles.
    var auth: UInt64 = 0
    /// The digest of the directory of members.
    var members: UInt64 = 0

    /// The digest of all.
    func hash(revision: Int64) -> StateHash {
        let rest = StateHash.mix(StateHash.mix(leases ^ StateHash.mix(auth)) ^ members)
        return StateHash(value: StateHash.mix(StateHash.mix(pairs ^ rest) ^ UInt64(bitPattern: revision)))
    }
}
