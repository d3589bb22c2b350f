internal import MartletStore

/// What a client asks on a stream of watches.
enum WatchRequest: Hashable {
    case create(WatchOptions)
    case cancel(Int64)
    case progress
    /// A request that holds nothing, or something unknown.
    case nothing

    init(_ bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        var request = WatchRequest.nothing
        while let field = try reader.next() {
            switch field {
            case 1: request = .create(try WatchOptions(try reader.message()))
            case 2:
                var body = try reader.message()
                var id: Int64 = 0
                while let field = try body.next() {
                    if field == 1 { id = try body.int64() } else { try body.skip() }
                }
                request = .cancel(id)
            case 3:
                var body = try reader.message()
                while try body.next() != nil { try body.skip() }
                request = .progress
            default: try reader.skip()
            }
        }
        self = request
    }
}

/// What a watch wants.
struct WatchOptions: Hashable {
    var range: KeyRange
    /// Whether the client's end comes before its key, which etcd refuses.
    var isInverted = false
    /// The first revision wanted; 0: from now on.
    var start: Int64 = 0
    /// The id chosen by the client; 0: none.
    var id: Int64 = 0
    var variant = WatchVariant()
    var fragments = false
    var notifiesProgress = false

    init(_ reader: WireReader) throws(WireError) {
        var reader = reader
        var key: [UInt8] = []
        var end: [UInt8] = []
        range = .all
        while let field = try reader.next() {
            switch field {
            case 1: key = try reader.blob()
            case 2: end = try reader.blob()
            case 3: start = try reader.int64()
            case 4: notifiesProgress = try reader.bool()
            case 5:
                for filter in try reader.enumerations() {
                    if filter == 0 { variant.withoutPuts = true }
                    if filter == 1 { variant.withoutDeletions = true }
                }
            case 6: variant.withPrevious = try reader.bool()
            case 7: id = try reader.int64()
            case 8: fragments = try reader.bool()
            default: try reader.skip()
            }
        }
        // The smallest key there can be.
        if key.isEmpty { key = [0] }
        range = KeyRequests.boundless(key, end)
        isInverted = range.isEmpty
    }
}

/// What watches of the same keys may differ in, as far as it changes the bytes of their events.
struct WatchVariant: Hashable {
    var withPrevious = false
    var withoutPuts = false
    var withoutDeletions = false

    func admits(_ event: StoreEvent) -> Bool { event.isDeletion ? !withoutDeletions : !withoutPuts }
}

/// etcd's WatchResponse, written in parts: the events once for all who watch the same.
enum WatchMessages {
    /// A response without events.
    static func control(
        _ header: Header, id: Int64, created: Bool = false, canceled: Bool = false, compactRevision: Int64 = 0,
        reason: String = ""
    ) -> [UInt8] {
        var writer = WireWriter(capacity: header.size + 32 + reason.utf8.count)
        header.write(to: &writer)
        writer.int(2, id)
        writer.bool(3, created)
        writer.bool(4, canceled)
        writer.int(5, compactRevision)
        writer.text(6, reason)
        return writer.bytes
    }

    /// The events that a variant admits, as they stand in a response; empty when there are none.
    static func body(_ events: some Sequence<StoreEvent>, _ variant: WatchVariant) -> [UInt8] {
        var writer = WireWriter()
        for event in events where variant.admits(event) {
            KeyResponses.write(event, withPrevious: variant.withPrevious, to: &writer)
        }
        return writer.bytes
    }

    /// A response for one watch: `head` is a written header.
    static func response(_ head: [UInt8], id: Int64, fragment: Bool = false, _ body: [UInt8]) -> [UInt8] {
        // Made once for each watch and change, so the three parts are laid side by side without a detour.
        let middle = (id == 0 ? 0 : 1 + WireSize.varint(UInt64(bitPattern: id))) + (fragment ? 2 : 0)
        let count = head.count + middle + body.count
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var next = unsafe buffer[..<head.count].initialize(fromContentsOf: head)
            func put(_ byte: UInt8) {
                unsafe buffer.initializeElement(at: next, to: byte)
                next += 1
            }
            if id != 0 {
                put(0x10)
                var rest = UInt64(bitPattern: id)
                while rest >= 0x80 {
                    put(UInt8(truncatingIfNeeded: rest) | 0x80)
                    rest >>= 7
                }
                put(UInt8(rest))
            }
            if fragment {
                put(0x38)
                put(1)
            }
            initialized = unsafe buffer[next...].initialize(fromContentsOf: body)
        }
    }
}
