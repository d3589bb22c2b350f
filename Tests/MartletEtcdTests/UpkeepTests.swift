import HTTPTypes
import MartletBase
import MartletEtcdMessages
import MartletHTTP
import SwiftProtobuf
import Testing

@testable import MartletEtcd

@Suite(.timeLimit(.minutes(1))) struct Upkeep {
    @Test func aMemberTellsHowItIs() async throws {
        try await withEtcd { etcd in
            try await etcd.put("a", "1")
            let status: EtcdStatusResponse = try await etcd.call("Maintenance/Status", EtcdHeaderOnlyResponse())
            #expect(status.version == EtcdService.version && status.leader == status.header.memberID)
            #expect(status.raftTerm > 0 && status.raftIndex == status.raftAppliedIndex && status.errors.isEmpty)
            try await etcd.run("Maintenance/Defragment")
            try await etcd.run("Maintenance/Alarm")
        }
    }

    @Test func equalContentsHaveEqualHashes() async throws {
        @Sendable func hash(_ etcd: Etcd) async throws -> UInt32 {
            try await etcd.call("Maintenance/HashKV", EtcdHashKVRequest(), EtcdHashKVResponse.self).hash
        }
        try await withEtcd { etcd in
            try await etcd.put("a", "1")
            let one = try await hash(etcd)
            try await etcd.put("b", "1")
            #expect(try await hash(etcd) != one)
            let past: EtcdHashKVResponse = try await etcd.call(
                "Maintenance/HashKV", EtcdHashKVRequest.with { $0.revision = 2 })
            #expect(past.hash == one && past.hashRevision == 2)
        }
    }

    @Test func membersAreListedAndChangesChecked() async throws {
        try await withEtcd { etcd in
            let list: EtcdMemberListResponse = try await etcd.call(
                "Cluster/MemberList", EtcdMemberListRequest.with { $0.linearizable = true })
            #expect(list.members.map(\.id) == [list.header.memberID])
            for urls in [[], ["nonsense"], ["http://"], ["http://a:1/path"], ["ftp://a:1"]] {
                #expect(
                    await refusal {
                        try await etcd.run("Cluster/MemberAdd", EtcdMemberAddRequest.with { $0.peerUrls = urls })
                    } == GRPCStatus(code: 3, message: "etcdserver: given member URLs are invalid"), "\(urls)")
            }
            let own = list.header.memberID
            let voter = await refusal {
                try await etcd.run("Cluster/MemberPromote", EtcdMemberRemoveRequest.with { $0.id = own })
            }
            #expect(voter == GRPCStatus(code: 9, message: "etcdserver: can only promote a learner member"))
            #expect(
                await refusal {
                    try await etcd.run("Cluster/MemberRemove", EtcdMemberRemoveRequest.with { $0.id = 1 })
                } == GRPCStatus(code: 5, message: "etcdserver: member not found"))
            #expect(
                await refusal {
                    try await etcd.run("Maintenance/MoveLeader", EtcdMoveLeaderRequest.with { $0.targetID = 1 })
                } == GRPCStatus(code: 9, message: "etcdserver: bad leader transferee"))
        }
    }

    @Test func healthVersionAndFiguresAreServedOverHTTP() async throws {
        try await withEtcd { etcd in
            let client = HTTPClient(endpoint: etcd.server.endpoints[0], serverName: "localhost", in: etcd.world)
            func get(_ path: String) async throws -> (Int, String) {
                let head = HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: path)
                let response = try await client.send(head)
                return (response.head.status.code, text(try await response.body.collect(limit: 100_000)))
            }
            let health = try await get("/health")
            #expect(health == (200, "{\"health\":\"true\",\"reason\":\"\"}\n"))
            let version = try await get("/version")
            #expect(version.1.contains("\"etcdserver\":\"\(EtcdService.version)\""))
            let figures = try await get("/metrics")
            #expect(figures.1.contains("\netcd_server_has_leader 1\n"))
            let nothing = try await get("/nothing")
            #expect(nothing.0 == 404)
            client.close()
        }
    }
}
