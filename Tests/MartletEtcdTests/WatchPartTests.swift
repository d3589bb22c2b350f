import MartletEtcdMessages
import MartletStore
import SwiftProtobuf
import Testing

@testable import MartletEtcd

@Suite struct WatchParts {
    private let header = Header(cluster: 1, member: 2, revision: 900, term: 4)

    /// Some revisions of one or more changes each.
    private func history(_ random: inout SystemRandomNumberGenerator) -> [StoreEvent] {
        var events: [StoreEvent] = []
        for revision in Int64(2)..<Int64.random(in: 2...20, using: &random) {
            for number in 0..<UInt8.random(in: 1...(revision % 5 == 0 ? 9 : 1), using: &random) {
                let value = [UInt8](repeating: number, count: .random(in: 0...300, using: &random))
                let pair = KeyValue(
                    key: [number], value: value, createRevision: 1, modRevision: revision, version: revision)
                let gone = KeyValue(key: [number], value: [], createRevision: 0, modRevision: revision, version: 0)
                let isDeletion = Bool.random(using: &random)
                events.append(
                    StoreEvent(
                        pair: isDeletion ? gone : pair, previous: Bool.random(using: &random) ? pair : nil,
                        isDeletion: isDeletion))
            }
        }
        return events
    }

    private func events(_ messages: [[UInt8]]) throws -> [EtcdEvent] {
        try messages.flatMap { try EtcdWatchResponse(serializedBytes: $0).events }
    }

    /// Part by part the history is what it is when each change is written alone, and no message is larger than it must
    /// be.
    @Test func theyAddUpToTheHistory() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let all = history(&random)
            let through: Int64 = 25
            let variant = WatchVariant(
                withPrevious: .random(using: &random), withoutPuts: .random(using: &random),
                withoutDeletions: .random(using: &random))
            let fragments = Bool.random(using: &random)
            let limit = Int.random(in: 1...1500, using: &random)
            let group = WatchGroup(.all)
            var after = Int64.random(in: 0...5, using: &random)
            let alone = try events(
                all.filter { $0.pair.modRevision > after }.map {
                    WatchMessages.shared(header, CollectionOfOne($0), variant)
                })
            var found: [EtcdEvent] = []
            while after < through {
                let need = WatchNeed(group: group, variant: variant, fragments: fragments, after: after)
                let part = WatchPart(
                    need, of: all.filter { $0.pair.modRevision > after }, through: through, header, limit: limit)
                #expect(part.need == need && part.through > after)
                for (number, message) in part.messages.enumerated() {
                    let response = try EtcdWatchResponse(serializedBytes: message)
                    #expect(response.fragment == (number < part.messages.count - 1) && response.header.revision == 900)
                    // It goes past the limit with one change, or with a revision that must not be divided.
                    let last = response.events.last?.kv.modRevision
                    let others = fragments ? response.events : response.events.filter { $0.kv.modRevision != last }
                    let bytes: [UInt8] = try EtcdWatchResponse.with { $0.events = others }.serializedBytes()
                    #expect(bytes.count <= limit || others.count == 1)
                    found += response.events
                }
                let beyond = found.last.map { $0.kv.modRevision > part.through }
                #expect(beyond != true && (fragments || part.messages.count < 2))
                after = part.through
            }
            #expect(found == alone)
        }
    }
}
