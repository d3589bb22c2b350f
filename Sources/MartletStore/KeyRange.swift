/// A range of keys: from `from` up to, not including, `to`.
public struct KeyRange: Sendable, Hashable {
    /// The first key.
    public var from: [UInt8]
    /// One past the last key. Empty: there is no upper end.
    public var to: [UInt8]
    /// A range by its ends; an empty `to` leaves it open above.
    public init(from: [UInt8], to: [UInt8]) {
        self.from = from
        self.to = to
    }
    /// One key alone.
    public init(key: [UInt8]) {
        from = key
        to = [UInt8](unsafeUninitializedCapacity: key.count + 1) { buffer, count in
            for (offset, byte) in key.enumerated() { unsafe buffer[offset] = byte }
            unsafe buffer[key.count] = 0
            count = key.count + 1
        }
    }
    /// All keys that begin with `prefix`; an empty one is all keys.
    public init(prefix: [UInt8]) {
        from = prefix
        var end = prefix
        while let last = end.last {
            end.removeLast()
            if last < 0xFF {
                end.append(last + 1)
                break
            }
        }
        to = end
    }
    /// All keys.
    public static let all = KeyRange(from: [], to: [])

    /// Whether it can hold only the key ``from``.
    public var isSingleKey: Bool {
        to.count == from.count + 1 && to[from.count] == 0 && ByteOrder.compare(from, to) == -1
    }
    /// Whether no key can be inside.
    public var isEmpty: Bool { !to.isEmpty && ByteOrder.compare(from, to) >= 0 }

    /// Whether `key` is inside.
    public func contains(_ key: [UInt8]) -> Bool {
        ByteOrder.compare(key, from) >= 0 && endsAfter(key)
    }
    /// Whether `key` comes before the upper end.
    func endsAfter(_ key: [UInt8]) -> Bool { to.isEmpty || ByteOrder.compare(key, to) < 0 }
}
