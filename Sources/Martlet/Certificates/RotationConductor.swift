internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletPKI
internal import MartletRaft
internal import MartletReplica
internal import MartletStore

/// Leads rotations from phase to phase, where the leader is. What stands is in the store: another leader goes on.
struct RotationConductor: Sendable {
    /// Between two looks while a rotation is under way, and while there is none.
    static let pauses: (busy: Duration, idle: Duration) = (.milliseconds(200), .seconds(1))
    /// Every so many idle looks, reports of machines that are gone are removed.
    static let sweepEvery = 30
    /// A machine that asked to be let in and never came is waited for so long.
    static let joinPatience: Duration = .seconds(300)

    let replica: Replica
    let nodeName: String
    let store: RotationStore
    let pki: ClusterPKI
    /// Where masters are reached, for those who ask for the cluster's `cluster-info`.
    let server: String
    let world: any World
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        var published: [UInt8] = []
        var gone: Set<String> = []
        var looks = 0
        var pause: Duration
        repeat {
            pause = Self.pauses.idle
            do {
                if try await step() {
                    pause = Self.pauses.busy
                } else {
                    if looks % Self.sweepEvery == 0 {
                        try await store.removeSpentKeys(before: world.wallTime() + (.zero - Self.joinPatience))
                    }
                    looks += 1
                    if looks % Self.sweepEvery == 0 { gone = try await sweep(gone) }
                }
                let trusted = try pki.trusted("ca")
                if trusted != published {
                    try await publish(trusted)
                    published = trusted
                }
            } catch {
                logger.debug("the rotation of certificates waits", metadata: ["error": "\(error)"])
            }
        } while (try? await world.sleep(for: pause)) != nil
    }

    /// Goes on by one phase at most.
    /// - Returns: whether a rotation is under way.
    private func step() async throws -> Bool {
        guard let record = try await store.read() else { return false }
        guard record.rotation.phase != .done else {
            try await correct(record)
            return false
        }
        var next = record
        next.rotation.step(try await machines(), now: world.wallTime())
        guard next != record else { return true }
        do { try await store.write(next) } catch let error as APIError where error.isConflict {
            return true
        }
        let (phase, waits) = (next.rotation.phase, next.rotation.waitsFor.joined(separator: ", "))
        if phase != record.rotation.phase {
            logger.notice("rotation \(next.rotation.id): phase \(phase.rawValue)")
        } else if !waits.isEmpty {
            logger.info("rotation \(next.rotation.id): phase \(phase.rawValue) waits for \(waits)")
        }
        if phase == .done { try await store.removeKeys(of: next.rotation.id) }
        return phase != .done
    }

    /// A snapshot that was restored tells of authorities that were exchanged since. Once this master has taken note of
    /// the rotation that stands, what it trusts itself is right.
    private func correct(_ record: RotationRecord) async throws {
        let trusted = try pki.trusted("ca")
        guard record.published != trusted, pki.mark?.covers(record.rotation) == true else { return }
        var corrected = record
        corrected.exchange = nil
        corrected.trusted = trusted
        try await store.write(corrected)
    }

    /// Every machine that must take each phase: masters, nodes, and those that are about to join.
    private func machines() async throws -> [Rotation.Machine] {
        let reports = try await store.reports()
        var found: [String: Rotation.Machine] = [:]
        func add(_ name: String, isAway: Bool) {
            var machine = found[name] ?? Rotation.Machine(name: name, isAway: isAway, mark: reports[name]?.mark)
            machine.isAway = machine.isAway && isAway
            found[name] = machine
        }
        for node in try await store.client.list(.node).items {
            let ready = (node["status", "conditions"]?.array ?? []).first { $0["type"]?.string == "Ready" }
            add(node.name, isAway: ready.map { $0["status"]?.string == "Unknown" } ?? true)
        }
        let status = await replica.status
        for member in await replica.members {
            let isSelf = member.id == status.member
            let name = isSelf ? nodeName : member.name.isEmpty ? String(member.id, radix: 16) : member.name
            add(name, isAway: !isSelf && status.peers[member.id]?.isActive != true)
        }
        for (name, report) in reports where found[name] == nil {
            guard let since = report.joinsSince, world.wallTime() - since < Self.joinPatience else { continue }
            found[name] = Rotation.Machine(name: name, isJoining: true, mark: report.mark)
        }
        return found.values.sorted { $0.name < $1.name }
    }

    /// Removes what machines have told that were gone at the last sweep already: one that has just come may tell of
    /// itself before its node is there.
    /// - Returns: those that are gone now.
    private func sweep(_ gone: Set<String>) async throws -> Set<String> {
        let known = Set(try await machines().map(\.name))
        let missing = Set(try await store.reports().keys).subtracting(known)
        for machine in missing.intersection(gone).sorted() { try await store.remove(machine) }
        return missing
    }

    /// Writes the ConfigMap `kube-public/cluster-info`, by which tools find the cluster and its authorities, as
    /// kubeadm's.
    private func publish(_ trusted: [UInt8]) async throws {
        let kubeconfig = """
            apiVersion: v1
            kind: Config
            clusters:
            - name: ""
              cluster:
                server: \(server)
                certificate-authority-data: \(Base64.encode(trusted))
            contexts: null
            current-context: ""
            preferences: {}
            users: null

            """
        _ = try await store.client.apply(
            .configMap,
            [
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": ["name": "cluster-info", "namespace": "kube-public"],
                "data": ["kubeconfig": .string(kubeconfig)],
            ])
    }
}
