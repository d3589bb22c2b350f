import MartletBase
import MartletEtcdMessages
import MartletStore
import SwiftProtobuf
import Testing

@testable import MartletEtcd

/// The messages made by protoc's generator are the witness for what is read and written by hand.
@Suite struct WireTests {
    @Test func aRangeIsReadAsTheWitnessWroteIt() throws {
        let request = EtcdRangeRequest.with {
            $0.key = protobufBytes(Array("a".utf8))
            $0.rangeEnd = protobufBytes(Array("b".utf8))
            $0.limit = 7
            $0.revision = 300
            $0.sortOrder = .descend
            $0.sortTarget = .mod
            $0.serializable = true
            $0.keysOnly = true
            $0.minModRevision = 4
            $0.maxCreateRevision = 9
        }
        let read = try KeyRequests.range(WireReader(try request.serializedBytes()))
        var query = RangeQuery(
            KeyRange(from: [97], to: [98]), limit: 7, revision: 300,
            order: RangeQuery.Order(.mod, descending: true), keysOnly: true)
        query.minMod = 4
        query.maxCreate = 9
        #expect(read == KeyRequests.Range(query: query, isSerializable: true))
    }

    @Test func unknownFieldsOfEachKindArePassedOver() throws {
        var bytes: [UInt8] = try EtcdPutRequest.with { $0.key = protobufBytes([1]) }.serializedBytes()
        bytes += [0xA0, 0x06, 0x05]  // 100: varint
        bytes += [0xA1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]  // 100: fixed64
        bytes += [0xA2, 0x06, 2, 9, 9]  // 100: bytes
        bytes += [0xA3, 0x06, 0x08, 0x01, 0xA4, 0x06]  // 100: group
        bytes += [0xA5, 0x06, 1, 2, 3, 4]  // 100: fixed32
        #expect(try KeyRequests.put(WireReader(bytes)) == Put([1], []))
    }

    @Test func whatIsNoMessageIsRefused() {
        for bytes: [UInt8] in [
            [0x0A], [0x0A, 5, 1], [0xFF], [0x00], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x0C],
            [0x0B], [0x08, 1], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ] {
            #expect(throws: WireError.self) { try KeyRequests.put(WireReader(bytes)) }
        }
    }

    @Test func responsesAreReadByTheWitness() throws {
        let header = Header(cluster: .max, member: 1 << 63, revision: 12, term: 3)
        let pair = KeyValue(
            key: [1], value: Array(repeating: 2, count: 300), createRevision: 3, modRevision: 400, version: 5,
            lease: -6)
        let range = try EtcdRangeResponse(
            serializedBytes: KeyResponses.range(
                RangeResult(pairs: [pair, pair], count: 20, more: true, revision: 12), header))
        #expect(range.header == header.message && range.more && range.count == 20)
        #expect(range.kvs.map(\.value.count) == [300, 300] && range.kvs[0].lease == -6)
        let inner = TransactionResult(
            succeeded: false, revision: 12, operations: [.deleteRange(count: 3, previous: [pair, pair])])
        let result = TransactionResult(
            succeeded: true, revision: 12,
            operations: [
                .put(previous: nil), .put(previous: pair), .transaction(inner),
                .range(RangeResult(pairs: [pair], count: 1, more: false, revision: 11)),
            ])
        let response = try EtcdTxnResponse(serializedBytes: KeyResponses.transaction(result, header))
        #expect(response.succeeded && response.header == header.message)
        #expect(response.responses[1].responsePut.prevKv.value.count == 300)
        #expect(response.responses[2].responseTxn.responses[0].responseDeleteRange.prevKvs.count == 2)
        #expect(response.responses[3].responseRange.header.revision == 11)
    }

    @Test func eventsAreReadByTheWitness() throws {
        let pair = KeyValue(key: [1], value: [2], createRevision: 3, modRevision: 5, version: 2)
        let old = KeyValue(key: [1], value: [0], createRevision: 3, modRevision: 3, version: 1)
        let gone = KeyValue(key: [1], value: [], createRevision: 0, modRevision: 6, version: 0)
        let events = [
            StoreEvent(pair: pair, previous: old, isDeletion: false),
            StoreEvent(pair: gone, previous: pair, isDeletion: true),
        ]
        let header = Header(cluster: 1, member: 2, revision: 6, term: 4)
        let shared = WatchMessages.shared(header, events, WatchVariant(withPrevious: true), isFragment: true)
        let response = try EtcdWatchResponse(serializedBytes: WatchMessages.mark(9) + shared)
        #expect(response.watchID == 9 && response.fragment && response.header == header.message)
        #expect(response.events.map(\.type) == [.put, .delete])
        #expect(response.events[1].prevKv.modRevision == 5)
        let puts = WatchMessages.shared(header, events, WatchVariant(withoutDeletions: true))
        #expect(try EtcdWatchResponse(serializedBytes: puts).events.map(\.hasPrevKv) == [false])
        let neither = WatchVariant(withoutPuts: true, withoutDeletions: true)
        #expect(WatchMessages.shared(header, events, neither).isEmpty && WatchMessages.mark(0).isEmpty)
    }

    @Test func transactionsAreCountedAsEtcdCountsThem() throws {
        let put = EtcdRequestOp.with { $0.requestPut.key = protobufBytes([1]) }
        func nested(_ depth: Int) -> EtcdTxnRequest {
            .with { txn in
                txn.success = [depth == 0 ? put : .with { $0.requestTxn = nested(depth - 1) }]
            }
        }
        func read(_ request: EtcdTxnRequest, _ operations: Int = 128) throws -> Transaction {
            try KeyRequests.transaction(WireReader(try request.serializedBytes()), operations: operations)
        }
        #expect(try read(.with { $0.success = Array(repeating: put, count: 128) }).success.count == 128)
        #expect(throws: Refusal.tooManyOperations) {
            try read(.with { $0.failure = Array(repeating: put, count: 129) })
        }
        _ = try read(nested(3), 4)
        #expect(throws: Refusal.tooManyOperations) { try read(nested(4), 4) }
        #expect(throws: Refusal.keyNotFound) { try read(.with { $0.success = [EtcdRequestOp()] }) }
        #expect(throws: Refusal.emptyKey) { try read(.with { $0.compare = [EtcdCompare()] }) }
    }

    @Test func deepNestingEndsEarly() {
        // Each level costs a few bytes, so a request of a megabyte could nest very deep.
        var bytes: [UInt8] = []
        for _ in 0..<20_000 {
            var step = WireWriter()
            step.element(4, bytes)
            var transaction = WireWriter()
            transaction.element(2, step.bytes)
            bytes = transaction.bytes
            if bytes.count > 60_000 { break }
        }
        #expect(throws: Refusal.tooManyOperations) {
            try KeyRequests.transaction(WireReader(bytes), operations: 128)
        }
    }
}

/// Bytes of any origin are read or refused, and never trap.
@Suite struct WireFuzz {
    private static func seeds() throws -> [[UInt8]] {
        let put = EtcdPutRequest.with {
            $0.key = protobufBytes([1, 2])
            $0.value = protobufBytes([3])
            $0.lease = 77
            $0.prevKv = true
        }
        let range = EtcdRangeRequest.with {
            $0.key = protobufBytes([0])
            $0.rangeEnd = protobufBytes([0])
            $0.limit = 10
            $0.sortTarget = .value
        }
        let transaction = EtcdTxnRequest.with { txn in
            txn.compare = [
                .with {
                    $0.key = protobufBytes([1])
                    $0.target = .value
                    $0.value = protobufBytes([9])
                }
            ]
            txn.success = [
                .with { $0.requestPut = put }, .with { $0.requestRange = range },
                .with { $0.requestTxn.failure = [.with { $0.requestDeleteRange.key = protobufBytes([5]) }] },
            ]
        }
        let watch = EtcdWatchRequest.with {
            $0.createRequest.key = protobufBytes([1])
            $0.createRequest.filters = [.noput, .nodelete]
            $0.createRequest.startRevision = 4
        }
        return [
            try put.serializedBytes(), try range.serializedBytes(), try transaction.serializedBytes(),
            try watch.serializedBytes(),
        ]
    }

    @Test func noBytesTrapAndWhatIsReadAgreesWithTheWitness() throws {
        var random = SplitMix64(seed: 11)
        let seeds = try Self.seeds()
        var read = 0
        var refused = 0
        for round in 0..<40_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                switch Int.random(in: 0...3, using: &random) {
                case 0 where !bytes.isEmpty: bytes.remove(at: Int.random(in: 0..<bytes.count, using: &random))
                case 1:
                    bytes.insert(
                        .random(in: 0...255, using: &random), at: Int.random(in: 0...bytes.count, using: &random))
                default:
                    if bytes.isEmpty { continue }
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                }
            }
            func attempt(_ body: () throws -> Void) {
                do {
                    try body()
                    read += 1
                } catch { refused += 1 }
            }
            attempt {
                let put = try KeyRequests.put(WireReader(bytes))
                if let witness = try? EtcdPutRequest(serializedBytes: bytes) {
                    #expect(put.key == Array(witness.key) && put.value == Array(witness.value))
                    #expect(put.lease == witness.lease && put.returnsPrevious == witness.prevKv)
                }
            }
            attempt { _ = try KeyRequests.range(WireReader(bytes)) }
            attempt { _ = try KeyRequests.deleteRange(WireReader(bytes)) }
            attempt { _ = try KeyRequests.compaction(WireReader(bytes)) }
            attempt { _ = try KeyRequests.transaction(WireReader(bytes), operations: 128) }
            attempt { _ = try WatchRequest(bytes) }
        }
        #expect(read > 1000 && refused > 1000)
    }
}
