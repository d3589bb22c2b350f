internal import MartletBase
internal import MartletClient
internal import MartletGateway
internal import MartletObject
internal import MartletPKI

/// What is asked of a cluster's certificates, under `/martlet/v1/`.
struct RotationDoor: Sendable {
    /// The longest overlap, in seconds: a year.
    static let longestOverlap = 366 * 24 * 3600

    let pki: ClusterPKI
    let store: RotationStore
    let world: any World

    /// The rotation that stands, and what each machine has told.
    func show() async throws -> JSON {
        let reports = try await store.reports().values.sorted { $0.machine < $1.machine }
        return [
            "rotation": try await store.read()?.rotation.json ?? .null,
            "machines": .array(reports.map(\.json)),
        ]
    }

    /// Begins a rotation, or lets the one that stands go on without machines that are away.
    func rotate(_ body: JSON) async throws -> DoorAnswer {
        let machine = body["machine"]?.string
        let scope: Rotation.Scope
        switch body["scope"]?.string {
        case "ca": scope = .authorities
        case "leaf": scope = .leaves(of: machine)
        default: return .refused(400, "scope is neither leaf nor ca: use martlet pki rotate leaf, or ca")
        }
        let seconds = body["overlapSeconds"]?.int ?? 0
        guard (0...Self.longestOverlap).contains(seconds) else {
            return .refused(400, "an overlap is at most a year: give --overlap as 1h or 7d")
        }
        let force = body["force"]?.bool ?? false
        let standing = try await store.read()
        if var standing, standing.rotation.phase != .done {
            guard force, standing.rotation.scope == scope else {
                return underWay(standing.rotation)
            }
            standing.rotation.leavesAwayBehind = true
            return try await write(standing)
        }
        if let machine, try await store.reports()[machine] == nil {
            return .refused(404, "there is no machine \(machine); see martlet pki status")
        }
        let id = String((0..<8).map { _ in Self.letters[Int(world.random() % UInt64(Self.letters.count))] })
        var rotation = Rotation(
            id: id, scope: scope, startedAt: world.wallTime(), overlap: .seconds(Int64(seconds)))
        rotation.leavesAwayBehind = force
        var record = RotationRecord(rotation: rotation, exchange: nil, trusted: try pki.trusted("ca"))
        record.resourceVersion = standing?.resourceVersion ?? ""
        guard scope == .authorities else { return try await write(record) }
        let successors = try pki.makeSuccessors(now: world.wallTime())
        record.exchange = successors.exchange
        try await store.writeKeys(
            successors.keys, of: id, sealedBy: pki.authority("ca").keyPair.privateKeyPEM)
        let answer = try await write(record)
        if !answer.isDone { try await store.removeKeys(of: id) }
        return answer
    }

    private func underWay(_ rotation: Rotation) -> DoorAnswer {
        let waits = rotation.waitsFor
        return .refused(
            409,
            "rotation \(rotation.id) is under way, in phase \(rotation.phase.rawValue)"
                + (waits.isEmpty ? "" : ", waiting for \(waits.joined(separator: ", "))")
                + ": see martlet pki status, and wait until it is done")
    }

    private static let letters = Array("0123456789abcdefghijklmnopqrstuvwxyz")

    private func write(_ record: RotationRecord) async throws -> DoorAnswer {
        do { try await store.write(record) } catch let error as APIError where error.isConflict || error.isAlreadyExists
        {
            // Of two that begin at once one is the first, and the other is told of it.
            if let other = try await store.read()?.rotation, other.phase != .done, other.id != record.rotation.id {
                return underWay(other)
            }
            return .refused(
                409, "somebody else has changed the rotation just now: see martlet pki status, and try again")
        }
        return .done(record.rotation.json)
    }

    /// Takes what a machine without a gateway tells of itself.
    /// - Parameter masters: the names of those that have one, and tell of themselves in its store.
    func report(_ body: JSON, from identity: Identity, masters: Set<String>) async throws -> DoorAnswer {
        let prefix = SigningRules.workerUser("")
        guard identity.user.hasPrefix(prefix), identity.groups.contains(SigningRules.workerGroup) else {
            return .refused(403, "only a machine of the cluster may tell of its certificates")
        }
        let machine = String(identity.user.dropFirst(prefix.count))
        guard !masters.contains(machine) else {
            return .refused(
                403,
                "\(machine) is the name of a master: martlet reset this machine, and join it with another "
                    + "--node-name")
        }
        guard var report = MachineReport(body, of: machine) else {
            return .refused(400, "this is no report of certificates: run releases that know each other")
        }
        report.joinsSince = nil
        try await store.write(report)
        return .done([:])
    }

    /// Waits no longer for a machine that was about to join.
    /// - Returns: whether it was waited for.
    func forget(_ machine: String) async throws -> Bool {
        guard try await store.reports()[machine]?.joinsSince != nil else { return false }
        try await store.remove(machine)
        return true
    }

    /// Notes that a machine is about to join: rotations wait for it from now on, until it comes or is forgotten.
    func expect(_ machine: String) async throws {
        var report = try await store.reports()[machine] ?? MachineReport(machine: machine)
        report.joinsSince = world.wallTime()
        try await store.write(report)
    }
}
