import FuzzSupport
import MartletBase
import MartletStore
import Synchronization
import Testing

@testable import MartletIO
@testable import MartletReplica

/// The power goes at a thousand moments of a member's life under load: of what was not synced, any part is lost. Each
/// time the member comes back with all that it had acknowledged, and goes on.
///
/// The log's writes are recorded one by one. The checkpoint is SQLite's: it is copied whenever the log is about to
/// forget something that only the checkpoint has from then on.
@Suite(.serialized, .enabled(if: Files.isDirectory("/dev/shm"), "needs /dev/shm")) struct AReplicaWithoutPower {
    private enum Moment {
        case disk(DiskModel.Step)
        case checkpoint([UInt8])
        case proposed(key: Int, number: Int)
        case acknowledged(key: Int, number: Int)
        /// The member is open for the first time.
        case began
    }

    private final class Tape: Sendable {
        private struct State {
            var moments: [Moment] = []
            var checkpoint: CheckpointFile?
            var copies = 0
        }
        private let state = Mutex(State())

        var moments: [Moment] { state.withLock { $0.moments } }
        func note(_ moment: Moment) { state.withLock { $0.moments.append(moment) } }

        /// What the log does from now on goes with this file.
        func attach(_ checkpoint: CheckpointFile) { state.withLock { $0.checkpoint = checkpoint } }

        var recorder: LogRecorder {
            LogRecorder { [self] step in
                if case .remove = step { copyCheckpoint() }
                if case .rename = step { copyCheckpoint() }
                note(.disk(Self.step(step)))
            }
        }

        func copyCheckpoint() {
            let (file, number) = state.withLock { state in
                state.copies += 1
                return (state.checkpoint, state.copies)
            }
            guard let file, file.state != nil else { return }
            let path = "\(file.path)-copy-\(number)"
            do {
                try file.copy(to: path)
                note(.checkpoint(try Files.read(path)))
                try Files.unlinkFile(path)
            } catch { Issue.record("the checkpoint cannot be copied: \(error)") }
        }

        /// A step of the log, its bytes copied.
        private static func step(_ step: LogRecorder.Step) -> DiskModel.Step {
            func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
            return switch step {
            case .create(let path): .create(name(path))
            case .write(let path, let at, let bytes): .write(name(path), at: Int(at), Array(bytes))
            case .sync(let path): .sync(name(path))
            case .rename(let path, let to): .rename(name(path), to: name(to))
            case .remove(let path): .remove(name(path))
            case .syncFolder: .syncFolder
            }
        }
    }

    private static let keys = 8
    private static let writes = 60
    private static let segmentBytes = 64 << 10
    private static let pace = CheckpointPace(entries: 100, logMargin: 7)

    private static func open(_ folder: String, _ log: WriteAheadLog, _ files: DataFolder, in world: TestWorld)
        async throws -> Replica
    {
        try await Replica.open(on: log, beside: files, historyLimit: 200, pace: pace, in: world, logger: quiet)
    }

    private static func number(of key: Int, in replica: Replica) async -> Int {
        let value = await replica.get(Array("key\(key)".utf8))?.value ?? []
        return Int(String(decoding: value.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)) ?? 0
    }

    /// Three lives of a member, each with eight writers. Returns all that happened, in order.
    private func live(in folder: String, _ world: TestWorld) async throws -> [Moment] {
        let tape = Tape()
        for life in 0..<3 {
            let files = try await DataFolder(checkpointAt: "\(folder)/checkpoint.sqlite")
            tape.attach(files.checkpoint)
            let log = try WriteAheadLog(
                directory: "\(folder)/log", segmentBytes: Self.segmentBytes, recorder: tape.recorder)
            let replica = try await Self.open(folder, log, files, in: world)
            if life == 0 {
                tape.copyCheckpoint()
                tape.note(.began)
            }
            await withTaskGroup(of: Void.self) { group in
                for key in 0..<Self.keys {
                    group.addTask {
                        for number in life * Self.writes + 1...(life + 1) * Self.writes {
                            tape.note(.proposed(key: key, number: number))
                            let value = "\(number) " + String(repeating: "x", count: 100 + number * 37 % 2000)
                            guard (try? await replica.propose(put("key\(key)", value))) != nil else { return }
                            tape.note(.acknowledged(key: key, number: number))
                        }
                    }
                }
            }
            await replica.close()
        }
        return tape.moments
    }

    /// What is wrong with a member that comes back in `folder`; nil when nothing is.
    private func fault(
        _ folder: String, acknowledged: [Int], proposed: [Int], _ world: TestWorld
    ) async -> String? {
        do {
            let log = try WriteAheadLog(directory: "\(folder)/log", segmentBytes: Self.segmentBytes)
            let files = try await DataFolder(checkpointAt: "\(folder)/checkpoint.sqlite")
            let replica = try await Self.open(folder, log, files, in: world)
            var fault: String?
            for key in 0..<Self.keys {
                let found = await Self.number(of: key, in: replica)
                if found < acknowledged[key] || found > proposed[key] {
                    fault = "key \(key) is \(found), acknowledged \(acknowledged[key]), proposed \(proposed[key])"
                }
            }
            _ = try await replica.propose(put("after"))
            await replica.close()
            return fault
        } catch { return "\(error)" }
    }

    /// Cuts the power at `cuts` moments. Returns what was wrong afterwards.
    private func cut(_ moments: [Moment], _ cuts: Int, seed: UInt64, _ world: TestWorld) async throws -> [String] {
        var random = SplitMix64(seed: seed)
        let began = moments.firstIndex { if case .began = $0 { true } else { false } } ?? 0
        let points = (0..<cuts).map { _ in Int.random(in: began...moments.count, using: &random) }.sorted()
        var disk = DiskModel()
        var checkpoint: [UInt8] = []
        var (acknowledged, proposed) = (Array(repeating: 0, count: Self.keys), Array(repeating: 0, count: Self.keys))
        var done = 0
        var faults: [String] = []
        for point in points {
            for moment in moments[done..<point] {
                switch moment {
                case .disk(let step): disk.carryOut(step)
                case .checkpoint(let bytes): checkpoint = bytes
                case .proposed(let key, let number): proposed[key] = number
                case .acknowledged(let key, let number): acknowledged[key] = number
                case .began: break
                }
            }
            done = point
            let share = [0, 0.1, 0.5, 0.9, 1][Int(random.next() % 5)]
            let folder = try Files.makeTemporaryDirectory(in: "/dev/shm", prefix: "martlet-power")
            defer { try? Files.remove(folder) }
            try Files.makeDirectory("\(folder)/log")
            for (name, bytes) in disk.afterPowerCut(keeping: share, &random) {
                try Files.write(bytes, to: "\(folder)/log/\(name)")
            }
            try Files.write(checkpoint, to: "\(folder)/checkpoint.sqlite")
            if let fault = await fault(folder, acknowledged: acknowledged, proposed: proposed, world) {
                faults.append("cut at \(point) of \(moments.count), \(share) kept: \(fault)")
            }
        }
        return faults
    }

    private func withLife(_ body: @escaping @Sendable ([Moment], TestWorld) async throws -> Void) async throws {
        let folder = try Files.makeTemporaryDirectory(in: "/dev/shm", prefix: "martlet-power")
        defer { try? Files.remove(folder) }
        let world = TestWorld()
        try await world.run { try await body(try await live(in: folder, world), world) }
    }

    @Test func comesBackFromFuzzedCutsWithAllThatItAcknowledged() async throws {
        try await withLife { moments, world in
            let faults = try await cut(moments, Fuzz.runs(1000), seed: Fuzz.seed(21), world)
            #expect(faults == [])
            // The cuts were among writes, syncs and checkpoints.
            func count(_ isOne: (Moment) -> Bool) -> Int { moments.count(where: isOne) }
            #expect(count { if case .acknowledged = $0 { true } else { false } } == 3 * Self.keys * Self.writes)
            #expect(count { if case .disk(.sync) = $0 { true } else { false } } > 50)
            #expect(count { if case .checkpoint = $0 { true } else { false } } > 5)
        }
    }

    /// The same life on a disk that never syncs: were that not seen, the test above would say nothing.
    @Test func losesWhatWasNotSynced() async throws {
        try await withLife { moments, world in
            let unsynced = moments.filter { if case .disk(.sync) = $0 { false } else { true } }
            let faults = try await cut(unsynced, 50, seed: 22, world)
            #expect(faults.count > 10)
        }
    }
}
