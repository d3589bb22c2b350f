import CMartlet
import FuzzSupport
import Glibc
import MartletBase
import Testing

@testable import MartletIO

/// Folders of spoiled, cut, exchanged and foreign segments: the log opens with what was written, or says which file is
/// bad and where.
@Suite(.enabled(if: Files.isDirectory("/dev/shm"), "needs /dev/shm")) struct LogFuzzTests {
    private typealias Folder = [String: [UInt8]]

    /// Two logs of several segments each.
    private func samples() async throws -> [(files: Folder, payloads: [[UInt8]])] {
        var samples: [(Folder, [[UInt8]])] = []
        for log in 0..<2 {
            try await withFolder(in: "/dev/shm") { folder in
                let payloads = (0..<90).map { payload($0 + log * 1000, length: 10 + $0 * 37 % 3000) }
                try makeLog(folder, batches: stride(from: 0, to: 90, by: 3).map { Array(payloads[$0..<$0 + 3]) })
                var files: Folder = [:]
                for name in try Files.list(folder) where name.hasSuffix(".log") {
                    files[name] = try Files.read("\(folder)/\(name)")
                }
                #expect(files.count > 2)
                samples.append((files, payloads))
            }
        }
        return samples
    }

    private func spoil(_ files: inout Folder, with foreign: Folder, _ random: inout SplitMix64) {
        let names = files.keys.sorted()
        let name = names[Int.random(in: 0..<names.count, using: &random)]
        let other = names[Int.random(in: 0..<names.count, using: &random)]
        let bytes = files[name] ?? []
        switch Int.random(in: 0..<9, using: &random) {
        case 0: files[name] = foreign[name]
        case 1: files[name] = files[other]
        case 2: files[name] = nil
        case 3: files[name] = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
        case 4: files["ffffffffffffffff.log"] = bytes
        case 5:
            let at = Int.random(in: 0..<bytes.count / 512, using: &random) * 512
            files[name]?.replaceSubrange(at..<at + 512, with: (foreign[name] ?? bytes)[at..<at + 512])
        case 6: files[name] = spoiledHeader(bytes, &random)
        default:
            // Where the records are, and as long as before, so that the header's word of the size holds.
            let used = 512..<max(513, (bytes.lastIndex { $0 != 0 } ?? 0) + 1)
            let place = Int.random(in: used, using: &random)
            let end = min(bytes.count, place + 64)
            let piece = Fuzz.spoiled(Array(bytes[place..<end]), &random).prefix(end - place)
            files[name]?.replaceSubrange(place..<place + piece.count, with: piece)
        }
    }

    /// One of the header's numbers changed, and its checksum right again.
    private func spoiledHeader(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = bytes
        guard bytes.count >= 48 else { return bytes }
        let at = [12, 16, 24, 32, 36, 40][Int.random(in: 0..<6, using: &random)]
        for offset in at..<at + 4 { bytes[offset] = random.next() % 2 == 0 ? 0xff : UInt8(random.next() & 255) }
        return withHeaderChecksum(bytes)
    }

    @Test func `a spoiled folder opens with what was written, or names the file and the place`() async throws {
        let samples = try await samples()
        var random = SplitMix64(seed: Fuzz.seed(21))
        var refused = 0
        let runs = Fuzz.runs(1500)
        try await withFolder(in: "/dev/shm") { folder in
            for run in 0..<runs {
                let sample = samples[run % 2]
                var files = sample.files
                for _ in 0...Int.random(in: 0..<3, using: &random) where !files.isEmpty {
                    spoil(&files, with: samples[1 - run % 2].files, &random)
                }
                for name in try Files.list(folder) { try Files.remove("\(folder)/\(name)") }
                for (name, bytes) in files { overwrite("\(folder)/\(name)", with: bytes) }
                do throws(RawLog.Refusal) {
                    let log = try RawLog(folder)
                    if !files.isEmpty && files.keys.min() == sample.files.keys.min() {
                        let kept = log.payloads
                        #expect(samples.contains { $0.payloads.starts(with: kept) }, "run \(run)")
                    }
                } catch {
                    refused += 1
                    #expect([CM_LOG_CORRUPT, CM_LOG_FORMAT].contains(error.status), "run \(run): \(error)")
                    #expect(error.file.hasPrefix(folder) && (!error.what.isEmpty || error.status == CM_LOG_FORMAT))
                }
            }
        }
        #expect(refused > runs / 3)
    }
}
