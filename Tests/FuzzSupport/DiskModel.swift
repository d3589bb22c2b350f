/// What a disk holds: files whose writes and names are safe only after a sync.
public struct DiskModel {
    private struct File {
        var durable: [UInt8] = []
        var unsynced: [(at: Int, bytes: [UInt8])] = []
    }
    private enum NameChange {
        case add(String, Int), move(Int, from: String, to: String), remove(String)
    }

    private var files: [File] = []
    private var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var unsyncedNames: [NameChange] = []

    /// An empty disk.
    public init() {}

    /// A disk with these files, all of them safe.
    public init(holding files: [String: [UInt8]]) {
        for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
            names[name] = self.files.count
            self.files.append(File(durable: bytes))
        }
        durableNames = names
    }

    /// One step of whoever writes.
    public enum Step: Sendable {
        case create(String), write(String, at: Int, [UInt8]), sync(String), rename(String, to: String)
        case remove(String), syncFolder
    }

    /// What the disk holds after a step.
    public mutating func carryOut(_ step: Step) {
        switch step {
        case .create(let name):
            files.append(File())
            names[name] = files.count - 1
            unsyncedNames.append(.add(name, files.count - 1))
        case .write(let name, let at, let bytes):
            if let file = names[name] { files[file].unsynced.append((at, bytes)) }
        case .sync(let name):
            guard let file = names[name] else { return }
            for write in files[file].unsynced { Self.put(write.bytes[...], at: write.at, in: &files[file].durable) }
            files[file].unsynced = []
        case .rename(let from, let to):
            guard let file = names.removeValue(forKey: from) else { return }
            names[to] = file
            unsyncedNames.append(.move(file, from: from, to: to))
        case .remove(let name):
            names[name] = nil
            unsyncedNames.append(.remove(name))
        case .syncFolder:
            for change in unsyncedNames { Self.carryOut(change, on: &durableNames) }
            unsyncedNames = []
        }
    }

    /// A folder as a power cut may leave it: of what was not synced, any sectors and any names have survived, each with
    /// the chance `share`.
    public func afterPowerCut(keeping share: Double, _ random: inout some RandomNumberGenerator) -> [String: [UInt8]] {
        var kept = durableNames
        for change in unsyncedNames where Double.random(in: 0..<1, using: &random) < share {
            Self.carryOut(change, on: &kept)
        }
        return kept.mapValues { number in
            var bytes = files[number].durable
            for write in files[number].unsynced {
                var start = 0
                while start < write.bytes.count {
                    // Sectors are the file's, wherever in one a write begins.
                    let end = min(write.bytes.count, start + 512 - (write.at + start) % 512)
                    if Double.random(in: 0..<1, using: &random) < share {
                        Self.put(write.bytes[start..<end], at: write.at + start, in: &bytes)
                    }
                    start = end
                }
            }
            return bytes
        }
    }

    private static func put(_ piece: ArraySlice<UInt8>, at: Int, in bytes: inout [UInt8]) {
        if bytes.count < at + piece.count {
            bytes.append(contentsOf: repeatElement(0, count: at + piece.count - bytes.count))
        }
        bytes.replaceSubrange(at..<at + piece.count, with: piece)
    }

    private static func carryOut(_ change: NameChange, on names: inout [String: Int]) {
        switch change {
        case .add(let name, let file): names[name] = file
        case .move(let file, let from, let to):
            if names[from] == file { names[from] = nil }
            names[to] = file
        case .remove(let name): names[name] = nil
        }
    }
}
