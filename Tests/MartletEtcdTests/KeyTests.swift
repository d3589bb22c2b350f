import MartletEtcdMessages
import MartletHTTP
import MartletReplica
import SwiftProtobuf
import Testing

@testable import MartletEtcd

@Suite(.timeLimit(.minutes(1))) struct Keys {
    @Test func aPairIsPutReadAndDeleted() async throws {
        try await withEtcd { etcd in
            let first = try await etcd.put("a", "1")
            #expect(first.header.revision == 2 && !first.hasPrevKv)
            #expect(first.header.clusterID != 0 && first.header.memberID != 0 && first.header.raftTerm > 0)
            #expect(text(try await etcd.put("a", "2").prevKv.value) == "1")
            let found = try await etcd.get("a")
            #expect(found.count == 1 && found.kvs[0].version == 2 && found.kvs[0].createRevision == 2)
            #expect(text(try await etcd.get("a") { $0.revision = 2 }.kvs[0].value) == "1")
            let gone = try await etcd.delete("a")
            #expect(gone.deleted == 1 && text(gone.prevKvs[0].value) == "2" && gone.header.revision == 4)
            #expect(try await etcd.delete("a").header.revision == 4)
            #expect(try await etcd.get("a").kvs.isEmpty)
        }
    }

    @Test func rangesAreSortedLimitedAndCounted() async throws {
        try await withEtcd { etcd in
            for (key, value) in [("k1", "c"), ("k2", "b"), ("k3", "a"), ("l", "z")] { try await etcd.put(key, value) }
            let page = try await etcd.get("k", to: "l") { $0.limit = 2 }
            #expect(page.kvs.map { text($0.key) } == ["k1", "k2"] && page.more && page.count == 3)
            let byValue = try await etcd.get("k", to: "l") { $0.sortTarget = .value }
            #expect(byValue.kvs.map { text($0.value) } == ["a", "b", "c"])
            let newest = try await etcd.get("k", to: "l") {
                $0.sortTarget = .mod
                $0.sortOrder = .descend
                $0.keysOnly = true
            }
            #expect(newest.kvs.map { text($0.key) } == ["k3", "k2", "k1"] && newest.kvs[0].value.isEmpty)
            let all = try await etcd.get("\0", to: "\0") { $0.countOnly = true }
            #expect(all.count == 4 && all.kvs.isEmpty)
            let late = try await etcd.get("k", to: "l") { $0.minModRevision = 4 }
            #expect(late.kvs.map { text($0.key) } == ["k3"])
            #expect(try await etcd.get("l", to: "k").kvs.isEmpty)
        }
    }

    @Test func transactionsTellEachStepsRevision() async throws {
        try await withEtcd { etcd in
            try await etcd.put("a", "1")
            let answer: EtcdTxnResponse = try await etcd.call(
                "KV/Txn",
                EtcdTxnRequest.with { txn in
                    txn.compare = [
                        .with {
                            $0.key = bytes("a")
                            $0.target = .value
                            $0.value = bytes("1")
                        }
                    ]
                    txn.success = [
                        .with { $0.requestDeleteRange.key = bytes("none") },
                        .with { $0.requestPut.key = bytes("b") },
                        .with {
                            $0.requestTxn.success = [.with { $0.requestRange.key = bytes("b") }]
                        },
                    ]
                })
            #expect(answer.succeeded && answer.header.revision == 3)
            #expect(answer.responses[0].responseDeleteRange.header.revision == 2)
            #expect(answer.responses[1].responsePut.header.revision == 3)
            #expect(answer.responses[2].responseTxn.responses[0].responseRange.count == 1)
        }
    }

    @Test func aTransactionThatReadsLeavesNoEntry() async throws {
        try await withEtcd { etcd in
            try await etcd.put("a", "1")
            let before = await etcd.replica.status.appliedIndex
            let answer: EtcdTxnResponse = try await etcd.call(
                "KV/Txn",
                EtcdTxnRequest.with { txn in
                    txn.compare = [
                        .with {
                            $0.key = bytes("a")
                            $0.target = .version
                            $0.version = 9
                        }
                    ]
                    txn.failure = [.with { $0.requestRange.key = bytes("a") }]
                })
            #expect(!answer.succeeded && text(answer.responses[0].responseRange.kvs[0].value) == "1")
            #expect(await etcd.replica.status.appliedIndex == before)
        }
    }

    @Test func theForgottenCannotBeRead() async throws {
        try await withEtcd { etcd in
            for value in 1...5 { try await etcd.put("a", "\(value)") }
            let gone = GRPCStatus(code: 11, message: "etcdserver: mvcc: required revision has been compacted")
            for revision in [-1, Int64.min] {
                #expect(
                    await refusal {
                        try await etcd.run("KV/Compact", EtcdCompactionRequest.with { $0.revision = revision })
                    } == gone)
            }
            try await etcd.run("KV/Compact", EtcdCompactionRequest.with { $0.revision = 4 })
            #expect(text(try await etcd.get("a") { $0.revision = 4 }.kvs[0].value) == "3")
            #expect(
                await refusal { _ = try await etcd.get("a") { $0.revision = 3 } } == gone)
            #expect(
                await refusal { try await etcd.run("KV/Compact", EtcdCompactionRequest.with { $0.revision = 99 }) }
                    == GRPCStatus(code: 11, message: "etcdserver: mvcc: required revision is a future revision"))
        }
    }
}

/// What is refused, in etcd's words.
@Suite(.timeLimit(.minutes(1))) struct Refusals {
    @Test func badRequestsAreToldWhatIsWrong() async throws {
        try await withEtcd { etcd in
            let noKey = await refusal { try await etcd.put("", "x") }
            #expect(noKey == GRPCStatus(code: 3, message: "etcdserver: key is not provided"))
            let noLease = await refusal { try await etcd.put("a", "x", lease: 7) }
            #expect(noLease == GRPCStatus(code: 5, message: "etcdserver: requested lease not found"))
            let large = await refusal { try await etcd.put("a", String(repeating: "x", count: 1_600_000)) }
            #expect(large == GRPCStatus(code: 3, message: "etcdserver: request is too large"))
        }
    }

    @Test func aKeyIsChangedOnceInATransaction() async throws {
        try await withEtcd { etcd in
            let request = EtcdTxnRequest.with { txn in
                txn.success = (0..<2).map { _ in .with { $0.requestPut.key = bytes("a") } }
            }
            let status = await refusal { _ = try await etcd.call("KV/Txn", request, EtcdTxnResponse.self) }
            #expect(status == GRPCStatus(code: 3, message: "etcdserver: duplicate key given in txn request"))
        }
    }

    @Test func whatIsNoMessageAndWhatIsNoMethodHaveAStatus() async throws {
        try await withEtcd { etcd in
            for (path, bytes, code) in [
                ("/etcdserverpb.KV/Put", [0x0A, 9], 13), ("/etcdserverpb.Lease/LeaseGrant", [0xFF], 13),
                ("/etcdserverpb.KV/RangeStream", [], 12), ("/etcdserverpb.KV", [], 12), ("/a/b/c", [], 12),
                ("/etcdserverpb.Nope/Put", [], 12),
            ] as [(String, [UInt8], Int)] {
                let status = await refusal { _ = try await etcd.channel.unary(path, bytes, timeout: .seconds(5)) }
                #expect(status?.code == code, "\(path)")
            }
        }
    }

    @Test func everyMethodOfTheTablesIsThereAndSurvivesAnyBytes() async throws {
        let methods = [
            "etcdserverpb.KV": ["Range", "Put", "DeleteRange", "Txn", "Compact"],
            "etcdserverpb.Lease": ["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"],
            "etcdserverpb.Cluster": ["MemberAdd", "MemberRemove", "MemberUpdate", "MemberList", "MemberPromote"],
            "etcdserverpb.Maintenance": ["Alarm", "Status", "Defragment", "Hash", "HashKV", "MoveLeader"],
            "etcdserverpb.Auth": [
                "AuthDisable", "AuthStatus", "Authenticate", "UserAdd", "UserGet", "UserList", "UserDelete",
                "UserChangePassword", "UserGrantRole", "UserRevokeRole", "RoleAdd", "RoleGet", "RoleList",
                "RoleDelete", "RoleGrantPermission", "RoleRevokePermission", "AuthEnable",
            ],
            "v3lockpb.Lock": ["Unlock"],
            "v3electionpb.Election": ["Proclaim", "Leader", "Resign"],
        ]
        try await withEtcd { etcd in
            for (service, names) in methods {
                for name in names {
                    for bytes: [UInt8] in [[], [0x0A, 1], [0x08, 0x96, 1], [0x0A, 1, 0x61, 0x12, 0]] {
                        let status = await refusal {
                            _ = try await etcd.channel.unary("/\(service)/\(name)", bytes, timeout: .seconds(5))
                        }
                        #expect(status?.code != 12 && status?.code != 4, "\(service)/\(name) \(bytes)")
                    }
                }
            }
            let found = try await etcd.get("x")
            #expect(found.kvs.isEmpty)
        }
    }
}
