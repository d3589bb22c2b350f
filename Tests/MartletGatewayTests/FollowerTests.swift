import MartletBase
import MartletIO
import MartletObject
import MartletReplica
import MartletStore
import Testing

@testable import MartletGateway

/// An index that nobody reads for long, and then is right all the same.
@Suite struct FollowerTests {
    /// Writes more roles than any watch keeps waiting; the last has the number `count - 1`.
    private func write(_ count: Int, _ api: TestAPI) async throws {
        for start in stride(from: 0, to: count, by: 100) {
            let puts = (start..<min(start + 100, count)).map { index -> MartletStore.Operation in
                let role: JSON = [
                    "rules": [["verbs": ["get"], "apiGroups": [""], "resources": [.string("r\(index)")]]]
                ]
                return .put(
                    key: Keys.object(.clusterRole, namespace: "", name: "role-\(index)"), value: role.encoded())
            }
            _ = try await api.replica.propose(Transaction(then: puts))
        }
    }

    private func rules(_ name: String, _ api: TestAPI) async throws -> [String]? {
        try await api.gateway.access.rules(of: RoleName(namespace: "", name: name))?.flatMap(\.resources)
    }

    @Test func itReadsOnFromTheHistory() async throws {
        try await TestAPI.run { api in
            #expect(try await rules("role-1", api) == nil)
            try await write(6000, api)
            #expect(try await rules("role-5999", api) == ["r5999"])
            #expect(try await rules("role-0", api) == ["r0"])
        }
    }

    @Test func itBeginsAnewWhenTheHistoryIsGone() async throws {
        try await TestAPI.run { api in
            #expect(try await rules("role-1", api) == nil)
            try await write(6000, api)
            let key = Keys.object(.clusterRole, namespace: "", name: "role-7")
            _ = try await api.replica.propose(Transaction(then: [.delete(key: key)]))
            await api.replica.compact(through: api.replica.revision)
            #expect(try await rules("role-5999", api) == ["r5999"])
            #expect(try await rules("role-7", api) == nil)
            // And it goes on from there.
            try await write(8, api)
            #expect(try await rules("role-7", api) == ["r7"])
        }
    }
}
