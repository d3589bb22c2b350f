import MartletBase
import MartletEtcdMessages
import MartletHTTP
import SwiftProtobuf
import Testing

@testable import MartletEtcd

@Suite(.timeLimit(.minutes(1))) struct Leases {
    private func grant(_ etcd: Etcd, _ seconds: Int64, id: Int64 = 0) async throws -> EtcdLeaseGrantResponse {
        try await etcd.call(
            "Lease/LeaseGrant",
            EtcdLeaseGrantRequest.with {
                $0.ttl = seconds
                $0.id = id
            })
    }

    private func life(_ etcd: Etcd, _ id: Int64) async throws -> EtcdLeaseTimeToLiveResponse {
        try await etcd.call(
            "Lease/LeaseTimeToLive",
            EtcdLeaseTimeToLiveRequest.with {
                $0.id = id
                $0.keys = true
            })
    }

    @Test func aLeaseIsGrantedAskedAboutAndRevoked() async throws {
        try await withEtcd { etcd in
            let lease = try await grant(etcd, 100)
            #expect(lease.id > 0 && lease.ttl == 100)
            try await etcd.put("b", "1", lease: lease.id)
            try await etcd.put("a", "1", lease: lease.id)
            let life = try await life(etcd, lease.id)
            #expect(life.grantedTtl == 100 && 98...100 ~= life.ttl && life.keys.map { text($0) } == ["a", "b"])
            let all: EtcdLeaseLeasesResponse = try await etcd.call("Lease/LeaseLeases", EtcdHeaderOnlyResponse())
            #expect(all.leases.map(\.id) == [lease.id])
            try await etcd.run("Lease/LeaseRevoke", EtcdLeaseRevokeRequest.with { $0.id = lease.id })
            #expect(try await etcd.get("a", to: "c").count == 0)
            #expect(try await self.life(etcd, lease.id).ttl == -1)
            #expect(
                await refusal {
                    try await etcd.run("Lease/LeaseRevoke", EtcdLeaseRevokeRequest.with { $0.id = lease.id })
                } == GRPCStatus(code: 5, message: "etcdserver: requested lease not found"))
        }
    }

    @Test func idsAreUniqueAndTimesBounded() async throws {
        try await withEtcd { etcd in
            _ = try await grant(etcd, 10, id: 5)
            #expect(
                await refusal { _ = try await grant(etcd, 10, id: 5) }
                    == GRPCStatus(code: 9, message: "etcdserver: lease already exists"))
            #expect(
                await refusal { _ = try await grant(etcd, 10_000_000_000) }
                    == GRPCStatus(code: 11, message: "etcdserver: too large lease TTL"))
        }
    }

    @Test func aBeatKeepsALeaseAndSilenceEndsIt() async throws {
        try await withEtcd { etcd in
            let lease = try await grant(etcd, 1)
            try await etcd.put("a", "1", lease: lease.id)
            let beats = try etcd.stream("Lease/LeaseKeepAlive")
            func beat(_ id: Int64) async throws -> Int64 {
                try await beats.send(EtcdLeaseKeepAliveRequest.with { $0.id = id }.serializedBytes())
                let answer = try #require(try await beats.next())
                return try EtcdLeaseKeepAliveResponse(serializedBytes: answer).ttl
            }
            for _ in 0..<5 {
                #expect(try await beat(lease.id) == 1)
                try await etcd.world.sleep(for: .milliseconds(400))
            }
            #expect(try await etcd.get("a").count == 1)
            #expect(try await beat(123) == 0)
            let watching = try Watching(etcd)
            try await watching.create("a")
            #expect(try await watching.next().created)
            #expect(try await watching.events(1) == ["DELETE a"])
            #expect(try await beat(lease.id) == 0)
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct LocksAndElections {
    private func lock(_ etcd: Etcd, _ name: String) async throws -> EtcdLockResponse {
        try await etcd.call("v3lockpb.Lock/Lock", EtcdLockRequest.with { $0.name = bytes(name) })
    }

    @Test func aLockIsHeldByOneAtATime() async throws {
        try await withEtcd { etcd in
            let first = try await lock(etcd, "l")
            #expect(text(first.key).hasPrefix("l/"))
            async let second = lock(etcd, "l")
            try await etcd.world.sleep(for: .milliseconds(100))
            #expect(try await etcd.get("l/", to: "l0").count == 2)
            try await etcd.run("v3lockpb.Lock/Unlock", EtcdUnlockRequest.with { $0.key = first.key })
            #expect(try await second.key != first.key)
            #expect(try await etcd.get("l/", to: "l0").count == 1)
        }
    }

    @Test func whoGivesUpWaitingLeavesNothingBehind() async throws {
        try await withEtcd { etcd in
            _ = try await lock(etcd, "l")
            let request: [UInt8] = try EtcdLockRequest.with { $0.name = bytes("l") }.serializedBytes()
            let status = await refusal {
                _ = try await etcd.channel.unary("/v3lockpb.Lock/Lock", request, timeout: .milliseconds(200))
            }
            #expect(status?.code == 4)
            var left: Int64 = 2
            while left != 1 {
                left = try await etcd.get("l/", to: "l0").count
                try await etcd.world.sleep(for: .milliseconds(20))
            }
        }
    }

    @Test func anElectionHasOneLeaderWhoMayProclaimAndResign() async throws {
        try await withEtcd { etcd in
            func campaign(_ value: String) async throws -> EtcdCampaignResponse {
                try await etcd.call(
                    "v3electionpb.Election/Campaign",
                    EtcdCampaignRequest.with {
                        $0.name = bytes("e")
                        $0.value = bytes(value)
                    })
            }
            let leaderRequest = EtcdLeaderRequest.with { $0.name = bytes("e") }
            func leader() async throws -> String {
                let answer: EtcdLeaderResponse = try await etcd.call(
                    "v3electionpb.Election/Leader", leaderRequest)
                return text(answer.kv.value)
            }
            #expect(
                await refusal { _ = try await leader() } == GRPCStatus(code: 2, message: "election: no leader"))
            let observer = try etcd.stream("v3electionpb.Election/Observe")
            try await observer.send(leaderRequest.serializedBytes())
            func observed() async throws -> String {
                text(try EtcdLeaderResponse(serializedBytes: try #require(try await observer.next())).kv.value)
            }
            let first = try await campaign("one")
            #expect(try await leader() == "one")
            #expect(try await observed() == "one")
            async let second = campaign("two")
            try await etcd.run(
                "v3electionpb.Election/Proclaim",
                EtcdProclaimRequest.with {
                    $0.leader = first.leader
                    $0.value = bytes("one again")
                })
            #expect(try await observed() == "one again")
            try await etcd.run(
                "v3electionpb.Election/Resign", EtcdResignRequest.with { $0.leader = first.leader })
            #expect(try await second.leader.key != first.leader.key)
            #expect(try await leader() == "two")
            #expect(try await observed() == "two")
            #expect(
                await refusal {
                    try await etcd.run(
                        "v3electionpb.Election/Proclaim", EtcdProclaimRequest.with { $0.leader = first.leader })
                } == GRPCStatus(code: 2, message: "election: not leader"))
        }
    }
}
