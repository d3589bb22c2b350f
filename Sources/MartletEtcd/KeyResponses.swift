internal import MartletStore

/// The store's answers, written as etcd's responses for keys.
enum KeyResponses {
    static func range(_ result: RangeResult, _ header: Header) -> [UInt8] {
        var writer = WireWriter(capacity: size(result, header))
        write(result, header, to: &writer)
        return writer.bytes
    }

    static func put(_ previous: KeyValue?, _ header: Header) -> [UInt8] {
        var writer = WireWriter(capacity: header.size + (previous.map { WireSize.counted(size($0)) } ?? 0))
        writePut(previous, header, to: &writer)
        return writer.bytes
    }

    static func deleteRange(_ count: Int, _ previous: [KeyValue], _ header: Header) -> [UInt8] {
        var writer = WireWriter(
            capacity: header.size + 11 + previous.reduce(0) { $0 + WireSize.counted(size($1)) })
        writeDeletion(count, previous, header, to: &writer)
        return writer.bytes
    }

    static func transaction(_ result: TransactionResult, _ header: Header) -> [UInt8] {
        var writer = WireWriter(capacity: 256)
        var current = result.changesKeys ? result.revision - 1 : result.revision
        write(result, header, &current, to: &writer)
        return writer.bytes
    }

    // MARK: Parts

    private static func size(_ result: RangeResult, _ header: Header) -> Int {
        header.size + result.pairs.reduce(14) { $0 + WireSize.counted(size($1)) }
    }

    private static func write(_ result: RangeResult, _ header: Header, to writer: inout WireWriter) {
        header.write(to: &writer)
        for pair in result.pairs { write(pair, 2, to: &writer) }
        writer.bool(3, result.more)
        writer.int(4, Int64(result.count))
    }

    private static func writePut(_ previous: KeyValue?, _ header: Header, to writer: inout WireWriter) {
        header.write(to: &writer)
        if let previous { write(previous, 2, to: &writer) }
    }

    private static func writeDeletion(
        _ count: Int, _ previous: [KeyValue], _ header: Header, to writer: inout WireWriter
    ) {
        header.write(to: &writer)
        writer.int(2, Int64(count))
        for pair in previous { write(pair, 3, to: &writer) }
    }

    /// `current` is the revision before the steps, and that behind them when this returns.
    private static func write(
        _ result: TransactionResult, _ header: Header, _ current: inout Int64, to writer: inout WireWriter
    ) {
        header.write(to: &writer)
        writer.bool(2, result.succeeded)
        for operation in result.operations {
            if operation.changesKeys { current = result.revision }
            writer.message(3) { writer in
                switch operation {
                case .range(let found):
                    writer.message(1) { write(found, .step(found.revision), to: &$0) }
                case .put(let previous):
                    writer.message(2) { writePut(previous, .step(current), to: &$0) }
                case .deleteRange(let count, let previous):
                    writer.message(3) { writeDeletion(count, previous, .step(current), to: &$0) }
                case .transaction(let inner):
                    writer.message(4) { write(inner, .step(inner.revision), &current, to: &$0) }
                }
            }
        }
    }

    // MARK: Pairs and events

    /// The bytes of a pair.
    static func size(_ pair: KeyValue) -> Int {
        WireSize.blob(pair.key.count) + WireSize.int(pair.createRevision) + WireSize.int(pair.modRevision)
            + WireSize.int(pair.version) + WireSize.blob(pair.value.count) + WireSize.int(pair.lease)
    }

    /// Writes a pair as a field.
    static func write(_ pair: KeyValue, _ field: Int, to writer: inout WireWriter) {
        writer.begin(field, count: size(pair))
        writer.blob(1, pair.key)
        writer.int(2, pair.createRevision)
        writer.int(3, pair.modRevision)
        writer.int(4, pair.version)
        writer.blob(5, pair.value)
        writer.int(6, pair.lease)
    }

    /// The bytes of a change.
    static func size(_ event: StoreEvent, withPrevious: Bool) -> Int {
        let previous = withPrevious ? event.previous.map { WireSize.counted(size($0)) } : nil
        return (event.isDeletion ? 2 : 0) + WireSize.counted(size(event.pair)) + (previous ?? 0)
    }

    /// Writes a change as field 11 of a WatchResponse.
    static func write(_ event: StoreEvent, withPrevious: Bool, to writer: inout WireWriter) {
        writer.begin(11, count: size(event, withPrevious: withPrevious))
        writer.uint(1, event.isDeletion ? 1 : 0)
        write(event.pair, 2, to: &writer)
        if withPrevious, let previous = event.previous { write(previous, 3, to: &writer) }
    }
}

extension TransactionResult {
    /// Whether a step changed something.
    fileprivate var changesKeys: Bool { operations.contains { $0.changesKeys } }
}

extension OperationResult {
    /// Whether the step changed something.
    fileprivate var changesKeys: Bool {
        switch self {
        case .put: true
        case .deleteRange(let count, _): count > 0
        case .range: false
        case .transaction(let inner): inner.changesKeys
        }
    }
}
