import MartletBase
import Testing

@testable import MartletIO

/// Runs `body` with a new folder and removes it after.
func withFolder<T>(in parent: String = "/tmp", _ body: (String) async throws -> T) async throws -> T {
    let folder = try Files.makeTemporaryDirectory(in: parent)
    do {
        let value = try await body(folder)
        try Files.remove(folder)
        return value
    } catch {
        try? Files.remove(folder)
        throw error
    }
}

func record(_ index: UInt64, _ text: String? = nil) -> LogRecord {
    LogRecord(index: index, payload: Array((text ?? "record \(index)").utf8))
}

@Suite struct LogTests {
    @Test(arguments: ["memory", "disk"])
    func `what was appended is read back, and cuts at both ends hold`(kind: String) async throws {
        try await withFolder { folder in
            let log: any LogDevice = kind == "memory" ? MemoryLog() : try WriteAheadLog(directory: folder)
            #expect(await log.bounds == 1..<1)
            try await log.append([record(1), record(2)])
            try await log.append([record(3), LogRecord(index: 4, payload: [])])
            #expect(try await log.read(from: 2, limit: 2) == [record(2), record(3)])
            #expect(try await log.read(from: 5, limit: 2) == [])
            await #expect(throws: LogError.outOfRange(index: 9, held: 1..<5)) { try await log.append([record(9)]) }
            try await log.truncateSuffix(from: 3)
            #expect(await log.bounds == 1..<3)
            try await log.append([record(3, "another")])
            #expect(try await log.read(from: 1, limit: 9) == [record(1), record(2), record(3, "another")])
            try await log.truncatePrefix(before: 100)
            #expect(await log.bounds == 100..<100)
            try await log.append([record(100)])
            #expect(try await log.read(from: 100, limit: 9) == [record(100)])
            await #expect(throws: LogError.outOfRange(index: 3, held: 100..<101)) {
                _ = try await log.read(from: 3, limit: 1)
            }
            await log.close()
            await #expect(throws: LogError.closed) { try await log.append([record(101)]) }
        }
    }

    @Test func `a reopened log holds what was durable, cuts and new beginnings included`() async throws {
        try await withFolder { folder in
            for round in 0..<3 {
                let log = try WriteAheadLog(directory: folder, segmentBytes: 65536)
                if round == 0 { try await log.append((1...2000).map { record($0) }) }
                if round == 1 {
                    #expect(await log.bounds == 1..<2001)
                    try await log.truncateSuffix(from: 1500)
                    try await log.append([record(1500, "second life")])
                }
                if round == 2 {
                    #expect(await log.bounds == 1..<1501)
                    let all = try await log.read(from: 1, limit: 9999)
                    #expect(all == (1..<1500).map { record($0) } + [record(1500, "second life")])
                    try await log.truncatePrefix(before: 9000)
                }
                await log.close()
            }
            let log = try WriteAheadLog(directory: folder)
            #expect(await log.bounds == 9000..<9000)
            await log.close()
        }
    }

    @Test func `whole segments before a checkpoint are removed, and the rest stays readable`() async throws {
        try await withFolder { folder in
            let log = try WriteAheadLog(directory: folder, segmentBytes: 65536)
            let payload = [UInt8](repeating: 7, count: 10_000)
            for index in UInt64(1)...50 { try await log.append([LogRecord(index: index, payload: payload)]) }
            let segments = try Files.list(folder).filter { $0.hasSuffix(".log") }.count
            #expect(segments >= 8)
            try await log.truncatePrefix(before: 30)
            let bounds = await log.bounds
            #expect(bounds.lowerBound > 20 && bounds.lowerBound <= 30 && bounds.upperBound == 51)
            #expect(try await log.read(from: 30, limit: 99).count == 21)
            await log.close()
            let again = try WriteAheadLog(directory: folder, segmentBytes: 65536)
            #expect(await again.bounds == bounds)
            try await again.append([record(51)])
            #expect(try await again.read(from: 51, limit: 1) == [record(51)])
            await again.close()
        }
    }

    @Test func `two hundred appenders share syncs, and each record is where it belongs`() async throws {
        try await withFolder { folder in
            try await onReactor { reactor in
                let log = try WriteAheadLog(directory: folder)
                let indices = IndexSource(log: log)
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<200 {
                        group.addTask { for _ in 0..<20 { await indices.appendNext() } }
                    }
                }
                #expect(await log.bounds == 1..<4001)
                await log.close()
                let again = try WriteAheadLog(directory: folder)
                let all = try await again.read(from: 1, limit: 5000)
                #expect(all == (1...4000).map { record($0) })
                await again.close()
            }
        }
    }

    /// Gives out indices in order; the append itself may wait beside others.
    private actor IndexSource {
        private let log: WriteAheadLog
        private var last: UInt64 = 0
        init(log: WriteAheadLog) { self.log = log }
        func appendNext() async {
            last += 1
            let mine = record(last)
            await #expect(throws: Never.self) { try await log.append([mine]) }
        }
    }

    @Test func `a record over the limit is refused and the log goes on`() async throws {
        try await withFolder { folder in
            let log = try WriteAheadLog(directory: folder, segmentBytes: 65536)
            let large = LogRecord(index: 1, payload: [UInt8](repeating: 1, count: 65536))
            await #expect(throws: LogError.tooLarge(bytes: 65536, limit: 65536 - 512 - 32)) {
                try await log.append([large])
            }
            let fits = LogRecord(index: 1, payload: [UInt8](repeating: 1, count: 65536 - 512 - 32))
            try await log.append([fits, record(2)])
            #expect(try await log.read(from: 1, limit: 2) == [fits, record(2)])
            await log.close()
        }
    }

    @Test func `the folder is locked while the log is open, and free after`() async throws {
        try await withFolder { folder in
            let log = try WriteAheadLog(directory: folder)
            #expect(throws: LogError.locked(folder)) { try WriteAheadLog(directory: folder) }
            await log.close()
            let again = try WriteAheadLog(directory: folder)
            await again.close()
            await again.close()
        }
    }

    @Test func `appends that wait when the log closes are durable or refused, never forgotten`() async throws {
        try await withFolder { folder in
            let log = try WriteAheadLog(directory: folder)
            let acknowledged = await withTaskGroup(of: Bool.self) { group in
                for index in UInt64(1)...50 {
                    group.addTask { (try? await log.append([record(index)])) != nil }
                    if index == 25 {
                        group.addTask {
                            await log.close(); return false
                        }
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            let again = try WriteAheadLog(directory: folder)
            #expect(await again.bounds.upperBound >= UInt64(acknowledged) + 1)
            await again.close()
        }
    }
}
