/// The few messages of etcd's v3 API that the load needs, written and read by hand so that the client costs little.
enum Wire {
    static let put = "/etcdserverpb.KV/Put"
    static let range = "/etcdserverpb.KV/Range"
    static let watch = "/etcdserverpb.Watch/Watch"
    static let status = "/etcdserverpb.Maintenance/Status"

    /// A PutRequest.
    static func putRequest(key: [UInt8], value: [UInt8]) -> [UInt8] {
        var message: [UInt8] = []
        message.reserveCapacity(key.count + value.count + 12)
        append(1, key, to: &message)
        append(2, value, to: &message)
        return message
    }

    /// A RangeRequest for one key, linearizable.
    static func rangeRequest(key: [UInt8]) -> [UInt8] {
        var message: [UInt8] = []
        append(1, key, to: &message)
        return message
    }

    /// A RangeRequest for the keys from `key` to before `end`, which the member asked answers from what it has.
    static func localRangeRequest(from key: [UInt8], to end: [UInt8]) -> [UInt8] {
        var message: [UInt8] = []
        append(1, key, to: &message)
        append(2, end, to: &message)
        // serializable
        return message + [7 << 3, 1]
    }

    /// A WatchRequest for all keys with that beginning.
    static func watchRequest(prefix: [UInt8]) -> [UInt8] {
        var end = prefix
        end[end.count - 1] += 1
        var create: [UInt8] = []
        append(1, prefix, to: &create)
        append(2, end, to: &create)
        var message: [UInt8] = []
        append(1, create, to: &message)
        return message
    }

    /// What a StatusResponse says of its sender.
    static func status(_ message: [UInt8]) -> (member: UInt64, leader: UInt64) {
        var (member, leader): (UInt64, UInt64) = (0, 0)
        eachField(of: message[...]) { number, value, bytes in
            if number == 4 { leader = value }
            if number == 1 {
                eachField(of: bytes) { number, value, _ in if number == 2 { member = value } }
            }
        }
        return (member, leader)
    }

    /// Events of a WatchResponse, and whether it says that a watch was created.
    static func watchResponse(_ message: [UInt8]) -> (events: Int, created: Bool) {
        var (events, created) = (0, false)
        eachField(of: message[...]) { number, value, _ in
            if number == 11 { events += 1 }
            if number == 3 { created = value != 0 }
        }
        return (events, created)
    }

    private static func append(_ field: UInt8, _ bytes: [UInt8], to message: inout [UInt8]) {
        message.append(field << 3 | 2)
        var length = bytes.count
        while length > 127 {
            message.append(UInt8(length & 127 | 128))
            length >>= 7
        }
        message.append(UInt8(length))
        message += bytes
    }

    /// Goes through a message's fields: a varint's value, or the bytes of what has a length.
    private static func eachField(of message: ArraySlice<UInt8>, _ body: (UInt64, UInt64, ArraySlice<UInt8>) -> Void) {
        var rest = message
        func varint() -> UInt64 {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while let byte = rest.popFirst(), shift < 64 {
                value |= UInt64(byte & 127) << shift
                if byte < 128 { break }
                shift += 7
            }
            return value
        }
        while !rest.isEmpty {
            let tag = varint()
            switch tag & 7 {
            case 0: body(tag >> 3, varint(), [])
            case 1: rest = rest.dropFirst(8)
            case 2:
                let length = Int(min(varint(), UInt64(rest.count)))
                body(tag >> 3, 0, rest.prefix(length))
                rest = rest.dropFirst(length)
            case 5: rest = rest.dropFirst(4)
            default: return
            }
        }
    }
}
