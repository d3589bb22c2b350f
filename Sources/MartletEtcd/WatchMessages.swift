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

/// etcd's WatchResponse. With events it is written in two parts: which watch it is for, and all else, which is the same
/// for all who watch the same. The id comes first then; protobuf leaves the order of fields to the writer.
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

    /// The part that is a watch's own.
    static func mark(_ id: Int64) -> [UInt8] {
        var writer = WireWriter()
        writer.int(2, id)
        return writer.bytes
    }

    /// The part that all watches share who want these events; empty when the variant admits none of them.
    static func shared(
        _ header: Header, _ events: some Collection<StoreEvent>, _ variant: WatchVariant, isFragment: Bool = false
    ) -> [UInt8] {
        let wanted = events.lazy.filter { variant.admits($0) }
        let size = wanted.reduce(0) { $0 + Self.size($1, variant) }
        if size == 0 { return [] }
        var writer = WireWriter(capacity: header.size + 2 + size)
        header.write(to: &writer)
        writer.bool(7, isFragment)
        for event in wanted { KeyResponses.write(event, withPrevious: variant.withPrevious, to: &writer) }
        return writer.bytes
    }

    /// What an event adds to a response.
    static func size(_ event: StoreEvent, _ variant: WatchVariant) -> Int {
        WireSize.counted(KeyResponses.size(event, withPrevious: variant.withPrevious))
    }
}
