import Logging
import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Testing

@testable import MartletReplica

/// What opening a folder is refused with; empty when it is not.
func refusal(of folder: String, in world: TestWorld) async -> String {
    do {
        try await Replica.open(ReplicaConfiguration(directory: folder), in: world, logger: quiet).close()
        return ""
    } catch { return "\(error)" }
}

/// Makes a folder with a few keys in it.
func fill(_ folder: String, _ count: Int = 20, in world: TestWorld) async throws {
    let replica = try await Replica.open(ReplicaConfiguration(directory: folder), in: world, logger: quiet)
    for number in 0..<count { _ = try await replica.propose(put("k\(number)", "\(number)")) }
    await replica.close()
}

@Suite struct ADataFolder {
    /// Damages a folder and expects an error that names `file` and says what to do.
    private func expectRefusal(
        naming file: String, saying word: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ damage: @escaping @Sendable (String) async throws -> Void
    ) async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let folder = "\(path)/data"
                try await fill(folder, in: world)
                #expect(await refusal(of: folder, in: world) == "")
                try await damage(folder)
                for _ in 0..<2 {
                    let why = await refusal(of: folder, in: world)
                    #expect(why.contains(file) && why.contains(word), "\(why)", sourceLocation: sourceLocation)
                }
            }
        }
    }

    @Test func withoutItsLogIsRefused() async throws {
        try await expectRefusal(naming: "/wal", saying: "restore this member") { try Files.remove("\($0)/wal") }
        try await expectRefusal(naming: "/wal", saying: "put back") { folder in
            for name in try Files.list("\(folder)/wal") where name.hasSuffix(".log") {
                try Files.remove("\(folder)/wal/\(name)")
            }
        }
    }

    @Test func withoutItsCheckpointIsRefused() async throws {
        try await expectRefusal(naming: "checkpoint.sqlite", saying: "restore this member") { folder in
            for name in try Files.list(folder) where name.hasPrefix("checkpoint") {
                try Files.remove("\(folder)/\(name)")
            }
        }
        try await expectRefusal(naming: "checkpoint.sqlite", saying: "restore this member") { folder in
            try Files.write([], to: "\(folder)/checkpoint.sqlite")
        }
        try await expectRefusal(naming: "checkpoint.sqlite", saying: "restore this member") { folder in
            let bytes = try Files.read("\(folder)/checkpoint.sqlite")
            try Files.write(Array(bytes.prefix(bytes.count / 2)), to: "\(folder)/checkpoint.sqlite")
        }
    }

    @Test func withABitOfItsLogFlippedIsRefusedWithFileAndOffset() async throws {
        try await expectRefusal(naming: ".log", saying: "at byte") { folder in
            let name = try #require(try Files.list("\(folder)/wal").first { $0.hasSuffix(".log") })
            var bytes = try Files.read("\(folder)/wal/\(name)")
            bytes[512 + 40] ^= 1
            try Files.write(bytes, to: "\(folder)/wal/\(name)")
        }
    }

    @Test func withTheLogOrCheckpointOfAnotherMemberIsRefused() async throws {
        for (part, word) in [("wal", "the log in wal is of member"), ("checkpoint.sqlite", "put back the files")] {
            try await expectRefusal(naming: "/data", saying: word) { folder in
                let other = "\(folder)-other"
                let elsewhere = TestWorld()
                _ = elsewhere.random()
                try await fill(other, in: elsewhere)
                try Files.remove("\(folder)/\(part)")
                try Files.move("\(other)/\(part)", to: "\(folder)/\(part)")
            }
        }
    }

    @Test func withASegmentOfAnotherMemberIsRefused() async throws {
        try await expectRefusal(naming: "/wal/0000000000000001.log", saying: "another log") { folder in
            let elsewhere = TestWorld()
            _ = elsewhere.random()
            try await fill("\(folder)-other", in: elsewhere)
            let name = "wal/0000000000000001.log"
            try Files.write(try Files.read("\(folder)-other/\(name)"), to: "\(folder)/\(name)")
        }
    }

    @Test func ofAnotherFormatIsRefused() async throws {
        for (text, word) in [
            ("martlet-replica 2\n", "is older than this program reads"),
            ("martlet-replica 4\n", "run the newer release"), ("postgres 15\n", "no folder of a replica"),
            ("", "FORMAT"),
        ] {
            try await expectRefusal(naming: "/FORMAT", saying: word) { folder in
                try Files.write(Array(text.utf8), to: "\(folder)/FORMAT")
            }
        }
        try await expectRefusal(naming: "/data", saying: "no FORMAT file") { try Files.remove("\($0)/FORMAT") }
    }

    @Test func withASnapshotAsCheckpointIsRefused() async throws {
        try await expectRefusal(naming: "checkpoint.sqlite", saying: "martlet-store snapshot restore") { folder in
            let identity = "\(folder)/wal/OWNER"
            let file = try CheckpointFile(path: "\(folder)/checkpoint.sqlite")
            try file.closeWhole()
            let state = try CheckpointFile.makeNobodys("\(folder)/checkpoint.sqlite")
            let log = String(decoding: try Files.read(identity), as: UTF8.self).split(whereSeparator: \.isWhitespace)[2]
            try Files.write(Array("\(String(state.identity.cluster, radix: 16)) 0 \(log)\n".utf8), to: identity)
        }
    }

    @Test func whoseMakingWasInterruptedIsMadeAnew() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let folder = "\(path)/data"
                try await fill(folder, in: world)
                try Files.write(Array("martlet-replica 3 new\n".utf8), to: "\(folder)/FORMAT")
                try Files.write([1, 2, 3], to: "\(folder)/incoming.sqlite")
                let replica = try await Replica.open(ReplicaConfiguration(directory: folder), in: world, logger: quiet)
                #expect(await replica.revision == 1)
                _ = try await replica.propose(put("new"))
                await replica.close()
                #expect(try !Files.list(folder).contains("incoming.sqlite"))
                try await fill(folder, in: world)
                #expect(await refusal(of: folder, in: world) == "")
            }
        }
    }

    @Test func ofAMemberWithAnotherNameIsRefused() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let (folder, log) = try await DataFolder.open("\(path)/data")
                let members = ["a", "b"].map { (name: $0, peerURLs: ["https://10.0.0.1:2380"]) }
                let genesis = try Genesis.cluster(token: "t", members: members, name: "a")
                var state = try await StartingState.open(log, folder, genesis: genesis, history: .all)
                _ = try state.store.apply(try #require(genesis.entry))
                try state.checkName("a", in: folder)
                #expect(throws: ReplicaError.self) { try state.checkName("b", in: folder) }
                await log.close()
                await folder.close()
            }
        }
    }

    @Test func beginsAClusterWithTheSameEntryOnEachOfItsMembers() throws {
        let members = ["a", "b", "c"].map { (name: $0, peerURLs: ["https://\($0):2380"]) }
        let all = try ["a", "b", "c"].map { try Genesis.cluster(token: "t", members: members, name: $0) }
        #expect(Set(all.map(\.entry)).count == 1 && Set(all.map(\.identity.member)).count == 3)
        #expect(Set(all.map(\.identity.cluster)).count == 1)
        let moved = members.map { ($0.name, ["https://10.0.0.1:2380"]) }
        #expect(try Genesis.cluster(token: "t", members: moved, name: "a").identity == all[0].identity)
        #expect(try Genesis.cluster(token: "u", members: members, name: "a").identity != all[0].identity)
        #expect(throws: ReplicaError.self) { try Genesis.cluster(token: "t", members: members, name: "d") }
        #expect(throws: ReplicaError.self) { try Genesis.cluster(token: "t", members: members + members, name: "a") }
    }
}
