public import MartletBase

// A transaction as the payload of a log entry. Numbers are little-endian; a blob is a u32 count and its bytes.
//
//   version u8 (1)
//   conditions: u32 count, each: kind u8 (1 modRevision, 2 createRevision), key blob, revision i64
//   success:    u32 count, operations
//   failure:    u32 count, operations
//   operation:  kind u8, then 1 put: key, value; 2 delete: key; 3 deleteRange: from, to; 4 get: key
//
// Anything else, and anything left over, is refused. A program that meets a newer version stops rather than guess.

extension Transaction {
    /// The version of the format that ``encoded()`` writes.
    public static let formatVersion: UInt8 = 1

    /// The bytes for the log.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + success.reduce(0) { $0 + $1.size } + failure.reduce(0) { $0 + $1.size })
        writer.u8(Self.formatVersion)
        writer.u32(UInt32(conditions.count))
        for condition in conditions {
            switch condition {
            case .modRevision(let key, let revision):
                writer.u8(1)
                writer.blob(key)
                writer.i64(revision)
            case .createRevision(let key, let revision):
                writer.u8(2)
                writer.blob(key)
                writer.i64(revision)
            }
        }
        for operations in [success, failure] {
            writer.u32(UInt32(operations.count))
            for operation in operations { operation.write(to: &writer) }
        }
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        let version = try reader.u8()
        guard version == Self.formatVersion else {
            throw ByteCodecError(offset: 0, what: "transaction of format \(version); this program reads format 1")
        }
        var conditions: [Condition] = []
        for _ in 0..<(try reader.count(ofItemsOfAtLeast: 13)) {
            let offset = reader.offset
            let kind = try reader.u8()
            let key = try reader.blob()
            let revision = try reader.i64()
            switch kind {
            case 1: conditions.append(.modRevision(key: key, is: revision))
            case 2: conditions.append(.createRevision(key: key, is: revision))
            default: throw ByteCodecError(offset: offset, what: "condition of unknown kind \(kind)")
            }
        }
        let success = try Operation.readList(&reader)
        let failure = try Operation.readList(&reader)
        try reader.end()
        self.init(when: conditions, then: success, otherwise: failure)
    }
}

extension Operation {
    /// About how many bytes it takes.
    fileprivate var size: Int {
        switch self {
        case .put(let key, let value): 9 + key.count + value.count
        case .delete(let key), .get(let key): 5 + key.count
        case .deleteRange(let from, let to): 9 + from.count + to.count
        }
    }

    fileprivate func write(to writer: inout ByteWriter) {
        switch self {
        case .put(let key, let value):
            writer.u8(1)
            writer.blob(key)
            writer.blob(value)
        case .delete(let key):
            writer.u8(2)
            writer.blob(key)
        case .deleteRange(let from, let to):
            writer.u8(3)
            writer.blob(from)
            writer.blob(to)
        case .get(let key):
            writer.u8(4)
            writer.blob(key)
        }
    }

    fileprivate static func readList(_ reader: inout ByteReader) throws(ByteCodecError) -> [Operation] {
        var operations: [Operation] = []
        for _ in 0..<(try reader.count(ofItemsOfAtLeast: 5)) {
            let offset = reader.offset
            switch try reader.u8() {
            case 1: operations.append(.put(key: try reader.blob(), value: try reader.blob()))
            case 2: operations.append(.delete(key: try reader.blob()))
            case 3: operations.append(.deleteRange(from: try reader.blob(), to: try reader.blob()))
            case 4: operations.append(.get(key: try reader.blob()))
            case let kind: throw ByteCodecError(offset: offset, what: "operation of unknown kind \(kind)")
            }
        }
        return operations
    }
}
