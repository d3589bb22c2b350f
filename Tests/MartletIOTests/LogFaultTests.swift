import CMartlet
import Glibc
import MartletBase
import Testing

@testable import MartletIO

/// Faults, on a memory file system so that the many syncs cost nothing.
@Suite(.enabled(if: Files.isDirectory("/dev/shm"), "needs /dev/shm")) struct LogFaultTests {
    private let segment = "0000000000000001.log"

    @Test func `whatever byte rots, no durable record is lost in silence`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            let written = (0..<8).map { payload($0, length: 20 + $0 * 90) }
            try makeLog(folder, batches: written.map { [$0] })
            let good = try Files.read("\(folder)/\(segment)")
            let used = good.lastIndex { $0 != 0 }! + 1
            let lastBatch = (0..<used).filter { $0 % 512 == 0 && good[$0 + 4] == UInt8(20 + 7 * 90 & 255) }.last!
            var refused = 0
            for offset in 0..<used {
                var damaged = good
                damaged[offset] ^= UInt8(1 << (offset % 8))
                overwrite("\(folder)/\(segment)", with: damaged)
                do throws(RawLog.Refusal) {
                    let kept = try RawLog(folder).payloads
                    // Padding may rot without harm. In the last batch of a log that was killed at work, a length that
                    // reaches into what was never written looks torn.
                    let isLength = (lastBatch + 4..<lastBatch + 8).contains(offset)
                    #expect(kept == written || (kept == Array(written.dropLast()) && isLength), "\(offset)")
                } catch {
                    #expect([CM_LOG_CORRUPT, CM_LOG_FORMAT].contains(error.status))
                    refused += 1
                }
            }
            #expect(refused > used / 3)
        }
    }

    @Test func `in a log that was closed in good order not even the last record is lost`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            let log = try WriteAheadLog(directory: folder, segmentBytes: 65536)
            try await log.append([record(1), record(2)])
            await log.close()
            var damaged = try Files.read("\(folder)/\(segment)")
            let place = damaged.indices.first { damaged[$0...].starts(with: Array("record 2".utf8)) }!
            damaged[place] ^= 1
            overwrite("\(folder)/\(segment)", with: damaged)
            #expect(throws: LogError.self) { try WriteAheadLog(directory: folder, segmentBytes: 65536) }
        }
    }

    @Test func `a write that ends at any sector leaves what was durable before it`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            let durable = (0..<3).map { [payload($0, length: 100)] }
            let last = (3..<7).map { payload($0, length: 200) }
            try makeLog(folder, batches: durable)
            let before = try Files.read("\(folder)/\(segment)")
            try {
                let log = try RawLog(folder); log.append(last)
            }()
            let after = try Files.read("\(folder)/\(segment)")
            let start = zip(before, after).enumerated().first { $0.element.0 != $0.element.1 }!.offset
            let end = after.lastIndex { $0 != 0 }! + 1
            // A disk writes sectors whole.
            for cut in [start] + Array(stride(from: start / 512 * 512, through: end + 511, by: 512).dropFirst()) {
                overwrite("\(folder)/\(segment)", with: Array(after[..<cut] + before[cut...]))
                let kept = try RawLog(folder).payloads
                #expect(kept.starts(with: durable.joined()))
                #expect((durable.joined() + last).starts(with: kept))
                if cut >= end { #expect(kept.count == 7) }
                // What was left behind the end is gone, and the log can be written and opened again.
                try {
                    let log = try RawLog(folder); log.append([[9]])
                }()
                #expect(try RawLog(folder).payloads == kept + [[9]])
            }
        }
    }

    @Test func `whatever sectors of the last batch a power loss keeps, what was durable stays`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            var random = SplitMix(seed: 7)
            for run in 0..<150 {
                try Files.remove("\(folder)/\(segment)")
                let durable = (0..<Int(random.next() % 4)).map { [payload($0, length: Int(random.next() % 900))] }
                let last = (0..<Int(random.next() % 9 + 1)).map { payload($0, length: Int(random.next() % 1500)) }
                try makeLog(folder, batches: durable)
                let before = try Files.read("\(folder)/\(segment)")
                try {
                    let log = try RawLog(folder); log.append(last)
                }()
                let after = try Files.read("\(folder)/\(segment)")
                for _ in 0..<10 {
                    var torn = after
                    for sector in stride(from: 0, to: after.count, by: 512) where random.next() % 3 == 0 {
                        torn.replaceSubrange(sector..<sector + 512, with: before[sector..<sector + 512])
                    }
                    overwrite("\(folder)/\(segment)", with: torn)
                    let kept = try RawLog(folder).payloads
                    #expect(kept.starts(with: durable.joined()), "run \(run)")
                    #expect((durable.joined() + last).starts(with: kept), "run \(run)")
                }
            }
        }
    }

    @Test func `random damage is never a trap and never a record that was not written`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            let written = (0..<40).map { payload($0, length: 10 + $0 * 11 % 300) }
            try makeLog(folder, batches: written.map { [$0] })
            let good = Array(try Files.read("\(folder)/\(segment)"))
            var random = SplitMix(seed: 3)
            for _ in 0..<10_000 {
                var damaged = good
                for _ in 0...random.next() % 4 {
                    let at = Int(random.next() % 21_000)
                    switch random.next() % 3 {
                    case 0: damaged[at] = UInt8(truncatingIfNeeded: random.next())
                    case 1: damaged.replaceSubrange(at..<at + 8, with: repeatElement(255, count: 8))
                    default:
                        let from = Int(random.next() % 21_000)
                        damaged.replaceSubrange(at..<at + 64, with: good[from..<from + 64])
                    }
                }
                overwrite("\(folder)/\(segment)", with: damaged)
                if let kept = try? RawLog(folder).payloads { #expect(written.starts(with: kept)) }
            }
        }
    }

    @Test func `missing, foreign, short and newer segments are named`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            try makeLog(folder, batches: (0..<300).map { [payload($0, length: 700)] })
            let names = try Files.list(folder).filter { $0.hasSuffix(".log") }
            #expect(names.count >= 4)
            func attempt(_ change: () throws -> Void) throws -> Int {
                let kept = try names.map { ($0, try Files.read("\(folder)/\($0)")) }
                try change()
                defer { for (name, bytes) in kept { overwrite("\(folder)/\(name)", with: bytes) } }
                do throws(RawLog.Refusal) {
                    _ = try RawLog(folder)
                    return 0
                } catch { return error.status }
            }
            let second = "\(folder)/\(names[1])"
            #expect(try attempt { try Files.remove(second) } == CM_LOG_CORRUPT)
            #expect(try attempt { overwrite(second, with: try Files.read("\(folder)/\(names[2])")) } == CM_LOG_CORRUPT)
            #expect(try attempt { overwrite(second, with: try Files.read(second).dropLast()) } == CM_LOG_CORRUPT)
            #expect(try attempt { overwrite(second, with: []) } == CM_LOG_CORRUPT)
            #expect(try attempt { overwrite(second, with: [UInt8](repeating: 0, count: 65536)) } == CM_LOG_CORRUPT)
            let newer = try attempt {
                var bytes = try Files.read(second)
                bytes[8] = 3
                overwrite(second, with: withHeaderChecksum(bytes))
            }
            #expect(newer == CM_LOG_FORMAT)
            // A version is believed only when the checksum is right.
            for bit in 0..<32 {
                let flipped = try attempt {
                    var bytes = try Files.read(second)
                    bytes[8 + bit / 8] ^= 1 << (bit % 8)
                    overwrite(second, with: bytes)
                }
                #expect(flipped == CM_LOG_CORRUPT)
            }
            let lostEnd = try attempt {
                var bytes = try Files.read(second)
                bytes.replaceSubrange((bytes.lastIndex { $0 != 0 }! - 600)..., with: repeatElement(0, count: 0))
                bytes += [UInt8](repeating: 0, count: 65536 - bytes.count)
                overwrite(second, with: bytes)
            }
            #expect(lostEnd == CM_LOG_CORRUPT)
            #expect(try attempt {} == 0)
        }
    }

    @Test func `what is cut off the end is told`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            try makeLog(folder, batches: [[[1]], (0..<6).map { payload($0, length: 300) }])
            let path = "\(folder)/\(segment)"
            var torn = try Files.read(path)
            // The second sector of the last batch, in which its second record has most of its bytes.
            let lost = 1024 + 512
            torn.replaceSubrange(lost..<lost + 512, with: repeatElement(0, count: 512))
            overwrite(path, with: torn)
            let end = torn.lastIndex { $0 != 0 }! + 1
            let log = try WriteAheadLog(directory: folder, segmentBytes: 65536)
            let stop = 1024 + 336
            #expect(log.torn == TornTail(file: path, offset: UInt64(stop), bytes: UInt64(end - stop), records: 2))
            #expect(await log.bounds == 1..<3)
            await log.close()
            let again = try WriteAheadLog(directory: folder, segmentBytes: 65536)
            #expect(again.torn == nil)
            await again.close()
        }
    }

    @Test func `a log that has rested knows its end`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            let copy = "\(folder)/copy"
            let log = try WriteAheadLog(directory: "\(folder)/log", segmentBytes: 65536)
            try await log.append([record(1)])
            try await log.append([record(2)])
            let used = { try Files.read("\(folder)/log/\(segment)").lastIndex { $0 != 0 }! }
            let before = try used()
            let patience = ContinuousClock.now + .seconds(20)
            while try used() == before, ContinuousClock.now < patience { try await Task.sleep(for: .milliseconds(20)) }
            // As after a kill: it was not closed. The whole batch of the last record is gone.
            var bytes = try Files.read("\(folder)/log/\(segment)")
            bytes.replaceSubrange(1024..<1536, with: repeatElement(0, count: 512))
            try Files.makeDirectory(copy, mode: 0o700)
            overwrite("\(copy)/\(segment)", with: bytes)
            do throws(RawLog.Refusal) {
                _ = try RawLog(copy)
                Issue.record("a durable record was lost in silence")
            } catch {
                #expect(error.status == CM_LOG_CORRUPT && error.offset < 1536)
            }
            // It is said once.
            let after = try used()
            try await Task.sleep(for: .milliseconds(500))
            #expect(try used() == after)
            await log.close()
            #expect(try used() == after)
        }
    }

    @Test func `a segment of another log is named, wherever it stands`() async throws {
        try await withFolder(in: "/dev/shm") { folder in
            for log in ["one", "other"] {
                try Files.makeDirectory("\(folder)/\(log)", mode: 0o700)
                try makeLog("\(folder)/\(log)", batches: (0..<300).map { [payload($0, length: 700)] })
            }
            let identity = cm_log_identity(try RawLog("\(folder)/one").log)
            let other = cm_log_identity(try RawLog("\(folder)/other").log)
            #expect(identity != 0 && identity != other)
            for name in try Files.list("\(folder)/one") where name.hasSuffix(".log") {
                let path = "\(folder)/one/\(name)"
                let own = try Files.read(path)
                overwrite(path, with: try Files.read("\(folder)/other/\(name)"))
                do throws(LogError) {
                    _ = try WriteAheadLog(directory: "\(folder)/one", segmentBytes: 65536, identity: identity)
                    Issue.record("\(name) of another log was taken")
                } catch {
                    #expect("\(error)".hasPrefix("\(path): ") && "\(error)".contains("another log"))
                }
                overwrite(path, with: own)
            }
        }
    }

    // Mounts a tiny tmpfs; root only.
    @Test(.enabled(if: geteuid() == 0, "needs root for a small tmpfs"))
    func `a full disk refuses the append, and the log goes on when there is room`() async throws {
        try await withFolder { folder in
            #expect(mount("none", folder, "tmpfs", 0, "size=300k") == 0)
            defer { umount2(folder, Int32(MNT_DETACH)) }
            let log = try WriteAheadLog(directory: "\(folder)/log", segmentBytes: 65536)
            let block = [UInt8](repeating: 5, count: 20_000)
            var durable: UInt64 = 0
            do {
                while durable < 1000 {
                    try await log.append([LogRecord(index: durable + 1, payload: block)])
                    durable += 1
                }
            } catch let error as LogError {
                if case .refused(_, _, .noSpace) = error {} else { Issue.record("\(error)") }
            }
            #expect(durable >= 6 && durable < 1000)
            // Of several records none is written, though some would fit into the rest of the segment.
            let several = (1...5).map { LogRecord(index: durable + $0, payload: Array(block.prefix(10_000))) }
            await #expect(throws: LogError.self) { try await log.append(several) }
            #expect(await log.bounds == 1..<durable + 1)
            #expect(try await log.read(from: durable, limit: 9) == [LogRecord(index: durable, payload: block)])
            #expect(mount("none", folder, "tmpfs", UInt(MS_REMOUNT), "size=900k") == 0)
            try await log.append(several)
            #expect(await log.bounds == 1..<durable + 6)
            await log.close()
            let again = try WriteAheadLog(directory: "\(folder)/log", segmentBytes: 65536)
            #expect(await again.bounds == 1..<durable + 6)
            #expect(try await again.read(from: durable + 1, limit: 9) == several)
            await again.close()
        }
    }

    @Test(.enabled(if: geteuid() == 0, "needs root for a small tmpfs"))
    func `where a whole segment has no room, smaller ones are made until there is none at all`() async throws {
        try await withFolder { folder in
            #expect(mount("none", folder, "tmpfs", 0, "size=3000k") == 0)
            defer { umount2(folder, Int32(MNT_DETACH)) }
            let log = try WriteAheadLog(directory: "\(folder)/log", segmentBytes: 2 << 20)
            let block = [UInt8](repeating: 5, count: 20_000)
            var durable: UInt64 = 0
            do {
                while durable < 1000 {
                    try await log.append([LogRecord(index: durable + 1, payload: block)])
                    durable += 1
                }
            } catch let error as LogError {
                #expect("\(error)".contains("make a segment of 64 KiB"))
            }
            #expect(durable * 20_000 > 2_700_000 && durable < 1000)
            await log.close()
            let again = try WriteAheadLog(directory: "\(folder)/log", segmentBytes: 2 << 20)
            #expect(await again.bounds == 1..<durable + 1)
            await again.close()
        }
    }

    @Test func `the checksum is CRC-32C`() {
        // RFC 3720, appendix B.4.
        #expect(cm_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8a91_36aa)
        #expect(cm_crc32c(0, (0..<32).map { UInt8($0) }, 32) == 0x46dd_794e)
        #expect(cm_crc32c(cm_crc32c(0, Array("1234".utf8), 4), Array("56789".utf8), 5) == 0xe306_9283)
    }
}
