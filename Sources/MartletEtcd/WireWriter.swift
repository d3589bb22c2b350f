/// Writes one protobuf message. Fields that have their default value are left out, as proto3 wants it.
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    /// A writer with room for so many bytes.
    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func int(_ field: Int, _ value: Int64) { uint(field, UInt64(bitPattern: value)) }
    mutating func uint(_ field: Int, _ value: UInt64) {
        if value == 0 { return }
        varint(UInt64(field) << 3)
        varint(value)
    }
    mutating func bool(_ field: Int, _ value: Bool) { uint(field, value ? 1 : 0) }
    mutating func text(_ field: Int, _ value: String) {
        if !value.isEmpty { element(field, Array(value.utf8)) }
    }
    mutating func blob(_ field: Int, _ value: [UInt8]) {
        if !value.isEmpty { element(field, value) }
    }
    /// A byte string that is written even when it is empty: an element of a repeated field.
    mutating func element(_ field: Int, _ value: [UInt8]) {
        begin(field, count: value.count)
        bytes += value
    }
    /// The start of a byte string or message of `count` bytes, which the caller writes next.
    mutating func begin(_ field: Int, count: Int) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(count))
    }
    /// Bytes as they are.
    mutating func raw(_ more: [UInt8]) { bytes += more }

    /// A message whose length is not known beforehand. What it holds is moved by a byte or two when it is long.
    mutating func message(_ field: Int, _ body: (inout WireWriter) -> Void) {
        varint(UInt64(field) << 3 | 2)
        let start = bytes.count
        bytes.append(0)
        body(&self)
        var count = UInt64(bytes.count - start - 1)
        guard count >= 0x80 else {
            bytes[start] = UInt8(count)
            return
        }
        var prefix: [UInt8] = []
        while count >= 0x80 {
            prefix.append(UInt8(count & 0x7F | 0x80))
            count >>= 7
        }
        prefix.append(UInt8(count))
        bytes.replaceSubrange(start...start, with: prefix)
    }

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
}

/// The size of what a ``WireWriter`` writes.
enum WireSize {
    static func varint(_ value: UInt64) -> Int { value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7 }
    /// An integer in a field with a number below 16.
    static func int(_ value: Int64) -> Int { value == 0 ? 0 : 1 + varint(UInt64(bitPattern: value)) }
    /// A byte string or message in a field with a number below 16.
    static func counted(_ count: Int) -> Int { 1 + varint(UInt64(count)) + count }
    /// A byte string that is left out when it is empty.
    static func blob(_ count: Int) -> Int { count == 0 ? 0 : counted(count) }
}
