internal import HTTPTypes
public import MartletBase
public import MartletClient
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
public import MartletReplica
internal import MartletStore

/// Snapshots of a cluster's store: kept in a file, put back into a master, and tried out beforehand.
///
/// A snapshot holds every object of the API. It does not hold the keys of the authorities (`pki` in a master's data
/// folder) nor anything of what runs on the nodes.
public enum ClusterSnapshot {
    /// How far the revision goes up with a restore: more than any cluster writes between a snapshot and its return, so
    /// that no client sees a revision a second time with other contents.
    public static let revisionLift: Int64 = 1_000_000_000

    /// Fetches a snapshot from a running master into a new file, which appears when it is whole.
    /// - Parameters:
    ///   - transport: the API, as somebody of `system:masters`.
    ///   - progress: is told how many of how many bytes are there.
    /// - Throws: ``ClusterError``, `APIError`, or the transport's error.
    public static func save(
        to file: String, through transport: any ClientTransport, progress: @Sendable (Int, Int) -> Void
    ) async throws -> SnapshotStatus {
        if Files.exists(file) { throw ClusterError.unusable("\(file) exists; choose another name") }
        let part = file + ".part"
        do {
            try? Files.remove(part)
            let target = try RegularFile(making: part)
            let request = HTTPRequest(
                method: .get, scheme: nil, authority: nil, path: "/martlet/" + MasterDoor.snapshotPath)
            let response = try await transport.send(request, body: [])
            guard response.head.status.code == 200 else {
                let answer = try? JSON(parsing: try await response.body.collect(limit: 1 << 20))
                throw APIError(
                    code: response.head.status.code, reason: answer?["reason"]?.string ?? "",
                    message: answer?["message"]?.string ?? "the master answers \(response.head.status)")
            }
            let total = response.head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
            guard case .stream(let next) = response.body else {
                throw ClusterError.unusable("the master's answer is no snapshot: is it of another release?")
            }
            var count = 0
            while let piece = try await next() {
                try target.append(piece)
                count += piece.count
                progress(count, total)
            }
            try target.sync()
            let status = try await SnapshotFile.status(of: part)
            try Files.move(part, to: file)
            return status
        } catch let error as Errno {
            try? Files.remove(part)
            throw ClusterError.unusable("\(file): \(error); make room or choose another place, and save again")
        } catch {
            try? Files.remove(part)
            throw error
        }
    }

    /// Puts a snapshot into the data folder of a master that does not run. It becomes the first of a new cluster with
    /// the same authorities; the others join it anew. Its old store is kept beside the new one.
    /// - Returns: what the store holds now, and where the old one is; nil when there was none.
    /// - Throws: ``ClusterError``, `ReplicaError` or `LogError`; then the folder is as it was.
    public static func restore(
        _ file: String, into dataDirectory: String, at now: WallTime, lift: Int64 = revisionLift
    ) async throws -> (status: SnapshotStatus, formerStore: String?) {
        let member = try await member(of: dataDirectory)
        var machine = member.machine
        let data = try DataDirectory(preparing: dataDirectory)
        let fresh = data.store + ".restored"
        try? Files.remove(fresh)
        var options = RestoreOptions(
            // The time makes each restore a cluster of its own: members of an earlier one are refused.
            name: member.name, members: [(member.name, member.peerURLs)], token: "restored \(now.rfc3339)")
        options.bumpRevision = lift
        options.marksCompacted = true
        let before = machine
        var former: String?
        var isInPlace = false
        do {
            let status = try await SnapshotFile.restore(file, into: fresh, options)
            // First, and where a start sees it: cut short between the two moves, the folder has no store, and a first
            // master would begin an empty cluster.
            machine?.joins = []
            machine?.restores = true
            try machine?.write(to: data.path)
            if Files.exists(data.store) {
                let aside = data.store + ".before-\(now.seconds)"
                try Files.move(data.store, to: aside)
                former = aside
            }
            try Files.move(fresh, to: data.store)
            isInPlace = true
            machine?.restores = false
            try machine?.write(to: data.path)
            return (status, former)
        } catch {
            if isInPlace { try? Files.remove(data.store) }
            if let former { try? Files.move(former, to: data.store) }
            try? before?.write(to: data.path)
            try? Files.remove(fresh)
            throw error
        }
    }

    /// Looks whether ``restore(_:into:at:lift:)`` can put a snapshot into the folder, and changes nothing.
    /// - Throws: ``ClusterError`` when it cannot.
    public static func check(_ dataDirectory: String) async throws { _ = try await member(of: dataDirectory) }

    /// Who is the first member of the restored cluster.
    private struct Member {
        /// Nil where the store is that of a program without one: it was started by its flags alone.
        var machine: MachineFile?
        var name: String
        var peerURLs: [String]
    }

    /// The member of a data folder whose master does not run.
    private static func member(of dataDirectory: String) async throws -> Member {
        let store = dataDirectory + "/store"
        var report: MemberReport?
        do { report = try await LostQuorum.examine(store) } catch LogError.locked {
            throw ClusterError.unusable(
                "the master of \(dataDirectory) runs: stop martletd or martlet-gateway first, on every master of the "
                    + "cluster")
        } catch {
            // What cannot be read is what a snapshot is for.
        }
        if let machine = try MachineFile(readingFrom: dataDirectory) {
            if let port = machine.peerPort {
                let url = "https://\(Endpoint.ip(machine.nodeAddress, port: port))"
                return Member(machine: machine, name: machine.nodeName, peerURLs: [url])
            }
        } else if let report, report.voters == [report.member],
            let own = report.members.first(where: { $0.id == report.member })
        {
            return Member(
                machine: nil, name: own.name.isEmpty ? Machine.nodeName : own.name, peerURLs: own.peerURLs)
        }
        throw ClusterError.unusable(
            "\(dataDirectory) is neither that of a master nor that of a gateway with a store of one member: restore on "
                + "a machine that was one, or run martlet init there first (with its old pki folder, when certificates "
                + "are to stay good)")
    }
}
