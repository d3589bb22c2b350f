/// Appends fixed-width little-endian numbers and counted byte strings to an array.
public struct ByteWriter: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []

    /// An empty writer with room for `capacity` bytes.
    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// One byte.
    public mutating func u8(_ value: UInt8) { bytes.append(value) }
    /// Four bytes.
    public mutating func u32(_ value: UInt32) { integer(value) }
    /// Eight bytes.
    public mutating func u64(_ value: UInt64) { integer(value) }
    /// Eight bytes, two's complement.
    public mutating func i64(_ value: Int64) { integer(value) }
    /// The count as four bytes, then the bytes. The caller keeps `value` under 4 GiB.
    public mutating func blob(_ value: [UInt8]) {
        u32(UInt32(value.count))
        bytes.append(contentsOf: value)
    }
    /// The bytes alone, without a count.
    public mutating func raw(_ value: [UInt8]) { bytes.append(contentsOf: value) }

    /// Replaces four bytes that were written at `offset`: a count that is known only afterwards.
    public mutating func setU32(_ value: UInt32, at offset: Int) {
        for place in 0..<4 { bytes[offset + place] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(place))) }
    }

    private mutating func integer<I: FixedWidthInteger>(_ value: I) {
        var rest = value.littleEndian
        unsafe withUnsafeBytes(of: &rest) { unsafe bytes.append(contentsOf: $0) }
    }
}

/// Why bytes could not be decoded.
public struct ByteCodecError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where in the input.
    public var offset: Int
    /// What was wrong there.
    public var what: String
    /// An error at an offset.
    public init(offset: Int, what: String) {
        self.offset = offset
        self.what = what
    }
    /// One line for people.
    public var description: String { "byte \(offset): \(what)" }
}

/// Reads what ``ByteWriter`` wrote. Never traps: bytes that are missing or too many are errors.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    /// Where the next read begins.
    public private(set) var offset: Int

    /// A reader over `bytes`, beginning at `offset`.
    public init(_ bytes: [UInt8], offset: Int = 0) {
        self.bytes = bytes
        self.offset = min(max(offset, 0), bytes.count)
    }

    /// How many bytes are left.
    public var remaining: Int { bytes.count - offset }

    /// One byte.
    public mutating func u8() throws(ByteCodecError) -> UInt8 {
        guard remaining >= 1 else { throw truncated() }
        defer { offset += 1 }
        return bytes[offset]
    }
    /// Four bytes.
    public mutating func u32() throws(ByteCodecError) -> UInt32 { try integer() }
    /// Eight bytes.
    public mutating func u64() throws(ByteCodecError) -> UInt64 { try integer() }
    /// Eight bytes, two's complement.
    public mutating func i64() throws(ByteCodecError) -> Int64 { try integer() }
    /// A counted byte string.
    public mutating func blob() throws(ByteCodecError) -> [UInt8] {
        let count = Int(try u32())
        guard count <= remaining else { throw truncated() }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }
    /// A count of items of which each takes at least `minimum` bytes, so that no input makes its reader reserve
    /// more than it holds.
    public mutating func count(ofItemsOfAtLeast minimum: Int) throws(ByteCodecError) -> Int {
        let count = Int(try u32())
        guard count <= remaining / max(minimum, 1) else { throw truncated() }
        return count
    }
    /// All that is left.
    public mutating func rest() -> [UInt8] {
        defer { offset = bytes.count }
        return Array(bytes[offset...])
    }
    /// Checks that nothing is left.
    public func end() throws(ByteCodecError) {
        if remaining != 0 { throw ByteCodecError(offset: offset, what: "\(remaining) bytes too many") }
    }

    private func truncated() -> ByteCodecError { ByteCodecError(offset: offset, what: "ends too early") }

    private mutating func integer<I: FixedWidthInteger>() throws(ByteCodecError) -> I {
        let width = MemoryLayout<I>.size
        guard remaining >= width else { throw truncated() }
        let value = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: I.self) }
        offset += width
        return I(littleEndian: value)
    }
}
