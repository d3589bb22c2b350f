import FuzzSupport
import Glibc
import MartletBase
import Synchronization
import Testing

@testable import MartletIO

extension DiskModel.Step {
    /// A step of the log, its bytes copied.
    init(_ step: LogRecorder.Step) {
        func name(_ path: String) -> String { String(path[path.lastIndex(of: "/")!...].dropFirst()) }
        switch step {
        case .create(let path): self = .create(name(path))
        case .write(let path, let at, let bytes): self = .write(name(path), at: Int(at), Array(bytes))
        case .sync(let path): self = .sync(name(path))
        case .rename(let path, let to): self = .rename(name(path), to: name(to))
        case .remove(let path): self = .remove(name(path))
        case .syncFolder: self = .syncFolder
        }
    }
}

/// The power goes at a thousand moments of a log's life; each time, the log opens and holds all it had acknowledged.
@Suite(.enabled(if: Files.isDirectory("/dev/shm"), "needs /dev/shm")) struct PowerCutTests {
    /// What the log must hold.
    private struct Content {
        /// Nobody has allowed records from here on to be forgotten.
        var keptFrom: UInt64 = 1
        var next: UInt64 = 1
        var payloads: [UInt64: [UInt8]] = [:]
    }
    private enum Moment {
        case disk(DiskModel.Step)
        /// A call begins that leads to the content; `piecewise` when a part of it may be there.
        case begins(Content, piecewise: Bool)
        case returned
    }

    /// Lives through appends, cuts at both ends, new beginnings and restarts. Returns all that happened, in order.
    private func life(in folder: String, _ random: inout SplitMix64) async throws -> [Moment] {
        let tape = Tape()
        var content = Content()
        for _ in 0..<6 {
            let log = try WriteAheadLog(directory: folder, segmentBytes: 65536, recorder: tape.recorder)
            for _ in 0..<60 {
                switch Int.random(in: 0..<16, using: &random) {
                case 0:
                    content.next = UInt64.random(in: await log.bounds.lowerBound...content.next, using: &random)
                    content.keptFrom = min(content.keptFrom, content.next)
                    content.payloads = content.payloads.filter { $0.key < content.next }
                    tape.note(.begins(content, piecewise: false))
                    try await log.truncateSuffix(from: content.next)
                case 1, 2:
                    content.keptFrom = UInt64.random(in: content.keptFrom...content.next, using: &random)
                    tape.note(.begins(content, piecewise: false))
                    try await log.truncatePrefix(before: content.keptFrom)
                case 3 where random.next() % 8 == 0:
                    content = Content(keptFrom: content.next + 7, next: content.next + 7)
                    tape.note(.begins(content, piecewise: false))
                    try await log.truncatePrefix(before: content.keptFrom)
                default:
                    let count = UInt64.random(in: 1...12, using: &random)
                    let records = (content.next..<content.next + count).map { index in
                        let length = Int.random(in: 0..<2000, using: &random)
                        return LogRecord(index: index, payload: (0..<length).map { _ in UInt8(random.next() & 255) })
                    }
                    for record in records { content.payloads[record.index] = record.payload }
                    content.next += count
                    tape.note(.begins(content, piecewise: true))
                    try await log.append(records)
                }
                tape.note(.returned)
            }
            await log.close()
        }
        return tape.moments
    }

    @Test func `after any of the fuzzed power cuts every acknowledged record is there and nothing else`() async throws {
        var random = SplitMix64(seed: Fuzz.seed(11))
        for _ in 0..<max(1, Fuzz.runs(1000) / 1000) {
            let moments = try await withFolder(in: "/dev/shm") { try await life(in: "\($0)/log", &random) }
            try await withFolder(in: "/dev/shm") { folder in
                let points = (0..<1000).map { _ in Int.random(in: 0...moments.count, using: &random) }.sorted()
                var disk = DiskModel()
                var acknowledged = Content()
                var wanted: (content: Content, piecewise: Bool)?
                var done = 0
                for point in points {
                    for moment in moments[done..<point] {
                        switch moment {
                        case .disk(let step): disk.carryOut(step)
                        case .begins(let content, let piecewise): wanted = (content, piecewise)
                        case .returned:
                            acknowledged = wanted?.content ?? acknowledged
                            wanted = nil
                        }
                    }
                    done = point
                    let share = [0, 0.1, 0.5, 0.9, 1][Int(random.next() % 5)]
                    let left = disk.afterPowerCut(keeping: share, &random)
                    try place(left, in: folder)
                    try place(cutAgain(left, folder, &random), in: folder)
                    try check(folder, acknowledged, wanted, "cut at \(point) of \(moments.count), \(share) kept")
                }
            }
        }
    }

    /// A record that lacks its last sector is torn, as the log finds out when it is opened. It must still look so when
    /// the power goes again while the log clears it away.
    @Test func `a second power cut while the first one's traces are cleared leaves a log that opens`() async throws {
        var random = SplitMix64(seed: Fuzz.seed(12))
        try await withFolder(in: "/dev/shm") { folder in
            do {
                let log = try RawLog(folder)
                log.append([[1]])
                log.append([[UInt8](repeating: 2, count: 100), [UInt8](repeating: 3, count: 2000)])
            }
            var torn: [String: [UInt8]] = [:]
            for name in try Files.list(folder) {
                var bytes = try Files.read("\(folder)/\(name)")
                if let last = bytes.lastIndex(of: 3) {
                    for at in (last / 512 * 512)...last { bytes[at] = 0 }
                }
                torn[name] = bytes
            }
            for _ in 0..<300 {
                try place(torn, in: folder)
                let left = try cutAgain(torn, folder, &random)
                try place(left, in: folder)
                do throws(RawLog.Refusal) {
                    let log = try RawLog(folder)
                    #expect(log.payloads.first == [1])
                } catch {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    /// What is left when the power goes once more, while the log is opened on what the first cut has left.
    private func cutAgain(
        _ left: [String: [UInt8]], _ folder: String, _ random: inout SplitMix64
    ) throws -> [String: [UInt8]] {
        let tape = Tape()
        _ = try? RawLog(folder, recorder: tape.recorder)
        var disk = DiskModel(holding: left)
        for case .disk(let step) in tape.moments.prefix(Int.random(in: 0...tape.moments.count, using: &random)) {
            disk.carryOut(step)
        }
        return disk.afterPowerCut(keeping: [0, 0.1, 0.5, 0.9, 1][Int(random.next() % 5)], &random)
    }

    private func place(_ files: [String: [UInt8]], in folder: String) throws {
        for name in try Files.list(folder) { try Files.remove("\(folder)/\(name)") }
        for (name, bytes) in files { overwrite("\(folder)/\(name)", with: bytes) }
    }

    private func check(
        _ folder: String, _ acknowledged: Content, _ wanted: (content: Content, piecewise: Bool)?, _ where: String
    ) throws {
        do throws(RawLog.Refusal) {
            let log = try RawLog(folder)
            let (bounds, payloads) = (log.bounds, log.payloads)
            func holds(_ content: Content, upTo next: UInt64) -> Bool {
                bounds.upperBound == next && bounds.lowerBound <= content.keptFrom
                    && zip(bounds, payloads).allSatisfy { content.payloads[$0] == $1 }
            }
            var isGood = holds(acknowledged, upTo: acknowledged.next)
            if let wanted {
                isGood = isGood || holds(wanted.content, upTo: wanted.content.next)
                if wanted.piecewise && (acknowledged.next...wanted.content.next).contains(bounds.upperBound) {
                    isGood = isGood || holds(wanted.content, upTo: bounds.upperBound)
                }
            }
            #expect(isGood, "\(`where`): \(bounds) instead of \(acknowledged.keptFrom)..<\(acknowledged.next)")
            log.append([[1, 2, 3]])
        } catch {
            Issue.record("\(`where`): \(error)")
            return
        }
        // Whatever was torn is gone for good.
        #expect(try RawLog(folder).payloads.last == [1, 2, 3])
    }

    private final class Tape: Sendable {
        private let heard = Mutex<[Moment]>([])
        var recorder: LogRecorder { LogRecorder { [self] in note(.disk(DiskModel.Step($0))) } }
        var moments: [Moment] { heard.withLock { $0 } }
        func note(_ moment: Moment) { heard.withLock { $0.append(moment) } }
    }
}
