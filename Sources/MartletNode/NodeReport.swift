internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRuntime

extension NodeAgent {
    /// What was last told of the node, and when.
    private struct Told {
        /// The status without its heartbeats, as it was last written.
        var essence: JSON
        var writtenAt: WallTime
        /// When the API's node is to be compared with it: others write there, too.
        var comparesAt: MonotonicTime
    }

    /// Registers the node, then keeps its lease and its status current.
    func reportNodeForever() async {
        var isRegistered = false
        var told: Told?
        var renewed: MonotonicTime?
        var fault = ""
        while !Task.isCancelled {
            var period = Limits.leasePeriod
            // Who was stopped or cut off this long may have been judged dead: the lease goes first, so that it is not
            // again.
            let wasSilent = renewed.map { world.now() - $0 > Limits.leasePeriod * 2 } ?? false
            do {
                let node = nodeObject
                if !isRegistered {
                    try await api.modify(.node, name: configuration.nodeName, absent: node.fresh()) {
                        node.labelled($0)
                    }
                    isRegistered = true
                    logger.info("node \(configuration.nodeName) is registered")
                }
                if wasSilent {
                    logger.warning("node \(configuration.nodeName) was not reported for a while: it is now")
                    try await renewLease()
                    renewed = world.now()
                    told = nil
                }
                told = try await report(node, after: told)
                if renewed.map({ world.now() - $0 >= Limits.leasePeriod }) ?? true {
                    try await renewLease()
                    renewed = world.now()
                }
                if wasSilent {
                    // The verdict may have fallen while this was written: it is looked for soon.
                    period = .seconds(1)
                    told?.comparesAt = world.now()
                }
                // A node that waits for its network is looked at more often: pods wait for it.
                if isWaiting { period = Limits.waitingPeriod }
                fault = ""
            } catch let error as APIError where error.isNotFound && isRegistered {
                // Somebody deleted the node, or its lease's namespace is not there yet.
                isRegistered = false
                told = nil
                renewed = nil
                period = .seconds(1)
            } catch {
                if Task.isCancelled { return }
                // Once, until it is another one.
                if fault != "\(error)" { logger.warning("node \(configuration.nodeName) cannot be reported: \(error)") }
                fault = "\(error)"
                period = .seconds(1)
            }
            guard (try? await world.sleep(for: period)) != nil else { return }
        }
    }

    var nodeObject: NodeObject {
        let port: UInt16 = if case .ip(_, let port) = endpoint ?? configuration.endpoint { port } else { 0 }
        return NodeObject(configuration: configuration, facts: facts, port: port)
    }

    /// Writes the node's status when it differs from what was written, or somebody else has changed it, or that was
    /// long ago.
    private func report(_ node: NodeObject, after told: Told?) async throws -> Told {
        let now = world.wallTime()
        var unmet: [RuntimeCondition] = []
        do {
            unmet = try await runtime.unmetConditions()
            if runtimeVersion == nil { runtimeVersion = try await runtime.version() }
        } catch {
            unmet = [RuntimeCondition(type: "RuntimeReady", reason: "RuntimeUnavailable", message: "\(error)")]
        }
        isWaiting = !unmet.isEmpty
        let pressures = HostFacts.pressures(directory: configuration.rootDirectory)
        let version = runtimeVersion
        // What is written does not hang on what others wrote, so that it can be compared with our last.
        let plain = node.reported([:], runtime: version, unmet: unmet, pressures: pressures, now: WallTime(seconds: 0))
        let essence = NodeObject.essence(plain)
        let comparesAt = world.now() + Limits.leasePeriod
        if var told, told.essence == essence, now.seconds - told.writtenAt.seconds < Limits.nodeStatusSeconds {
            guard world.now() >= told.comparesAt else { return told }
            let current = try await api.get(.node, namespace: "", name: configuration.nodeName)
            if NodeObject.hasConditions(current, of: plain) {
                told.comparesAt = comparesAt
                return told
            }
            logger.warning("node \(configuration.nodeName): its conditions were changed by another: they are put right")
        }
        var before: JSON = [:]
        var after: JSON = [:]
        try await api.modify(.node, name: configuration.nodeName, status: true) {
            before = $0
            after = node.reported($0, runtime: version, unmet: unmet, pressures: pressures, now: now)
            return after
        }
        for change in NodeObject.changes(from: before, to: after) { record(change) }
        return Told(essence: essence, writtenAt: now, comparesAt: comparesAt)
    }

    private func renewLease() async throws {
        let now = JSON.string(world.wallTime().rfc3339Micro)
        let fresh: JSON = [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": ["name": .string(configuration.nodeName), "namespace": "kube-node-lease"],
            "spec": [
                "holderIdentity": .string(configuration.nodeName),
                "leaseDurationSeconds": .int(Limits.leaseSeconds), "renewTime": now,
            ],
        ]
        try await api.modify(
            .lease, namespace: "kube-node-lease", name: configuration.nodeName, absent: fresh
        ) { lease in
            var lease = lease
            lease["spec", "holderIdentity"] = .string(self.configuration.nodeName)
            lease["spec", "leaseDurationSeconds"] = .int(Limits.leaseSeconds)
            lease["spec", "renewTime"] = now
            return lease
        }
    }
}
