internal import MartletBase
internal import MartletObject
internal import MartletRuntime

/// The Node of this agent as the API has it: pure functions of what is known.
struct NodeObject: Sendable {
    let configuration: NodeAgentConfiguration
    let facts: HostFacts
    /// The port that the kubelet's API really has.
    let port: UInt16

    /// Labels that every node has, and those of the configuration.
    var labels: [String: String] {
        configuration.labels.merging([
            "kubernetes.io/hostname": configuration.nodeName, "kubernetes.io/os": "linux",
            "kubernetes.io/arch": facts.architecture, "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": facts.architecture,
        ]) { $1 }
    }

    /// A new node.
    func fresh() -> JSON {
        var node: JSON = [
            "apiVersion": "v1", "kind": "Node",
            "metadata": ["name": .string(configuration.nodeName), "labels": JSON(labels)], "spec": [:],
        ]
        if let cidr = configuration.podCIDR {
            node["spec", "podCIDR"] = .string(cidr)
            node["spec", "podCIDRs"] = [.string(cidr)]
        }
        return node
    }

    /// A node that exists, with our labels.
    func labelled(_ node: JSON) -> JSON {
        var node = node
        node["metadata", "labels"] = JSON(node.labels.merging(labels) { $1 })
        if let cidr = configuration.podCIDR, node["spec", "podCIDR"] == nil {
            node["spec", "podCIDR"] = .string(cidr)
            node["spec", "podCIDRs"] = [.string(cidr)]
        }
        return node
    }

    /// The node with its status of now. Conditions of others stay; one whose value did not change keeps its
    /// transition time.
    func reported(
        _ node: JSON, runtime: RuntimeVersion?, unmet: [RuntimeCondition],
        pressures: [(type: String, isTrue: Bool, reason: String, message: String)], now: WallTime
    ) -> JSON {
        var node = node
        let old = node["status", "conditions"]?.array ?? []
        var conditions = pressures.map {
            condition($0.type, $0.isTrue, $0.reason, $0.message, old: old, now: now)
        }
        let isReady = unmet.isEmpty && runtime != nil
        let why =
            runtime == nil
            ? "the container runtime does not answer"
            : unmet.map { "\($0.type) is not met: \($0.reason): \($0.message)" }.joined(separator: ", ")
        conditions.append(
            condition(
                "Ready", isReady, isReady ? "KubeletReady" : "KubeletNotReady",
                isReady ? "kubelet is posting ready status" : why, old: old, now: now))
        let ours = Set(conditions.compactMap { $0["type"]?.string })
        let foreign = old.filter { !ours.contains($0["type"]?.string ?? "") }
        node["status", "conditions"] = .array(foreign + conditions)
        node["status", "capacity"] = resources(milliCPU: facts.milliCPU, memory: facts.memory)
        node["status", "allocatable"] = resources(milliCPU: allocatableMilliCPU, memory: allocatableMemory)
        node["status", "addresses"] = .array(
            configuration.addresses.map { ["type": "InternalIP", "address": .string($0)] }
                + [["type": "Hostname", "address": .string(configuration.nodeName)]])
        node["status", "daemonEndpoints"] = ["kubeletEndpoint": ["Port": .int(Int64(port))]]
        node["status", "nodeInfo"] = info(runtime: runtime)
        return node
    }

    var allocatableMilliCPU: Int64 { min(facts.milliCPU, configuration.allocatableMilliCPU ?? facts.milliCPU) }
    var allocatableMemory: Int64 { min(facts.memory, configuration.allocatableMemory ?? facts.memory) }

    private func resources(milliCPU: Int64, memory: Int64) -> JSON {
        [
            "cpu": .string(milliCPU % 1000 == 0 ? String(milliCPU / 1000) : "\(milliCPU)m"),
            "ephemeral-storage": .string(String(facts.storage)),
            "memory": .string("\(memory >> 10)Ki"),
            "pods": .string(String(configuration.maxPods)),
        ]
    }

    private func info(runtime: RuntimeVersion?) -> JSON {
        [
            "machineID": .string(facts.machineID), "systemUUID": .string(facts.systemUUID),
            "bootID": .string(facts.bootID), "kernelVersion": .string(facts.kernel),
            "osImage": .string(facts.osImage),
            "containerRuntimeVersion": .string(runtime.map { "\($0.name)://\($0.version)" } ?? "unknown"),
            "kubeletVersion": .string(MartletVersion.kubernetes), "kubeProxyVersion": "", "operatingSystem": "linux",
            "architecture": .string(facts.architecture),
        ]
    }

    private func condition(
        _ type: String, _ isTrue: Bool, _ reason: String, _ message: String, old: [JSON], now: WallTime
    ) -> JSON {
        let before = old.first { $0["type"]?.string == type }
        let status = isTrue ? "True" : "False"
        let since = before?["status"]?.string == status ? before?["lastTransitionTime"] : nil
        return [
            "type": .string(type), "status": .string(status), "lastHeartbeatTime": .string(now.rfc3339),
            "lastTransitionTime": since ?? .string(now.rfc3339), "reason": .string(reason),
            "message": .string(message),
        ]
    }

    /// The status without its heartbeats: what must be written at once when it changes.
    static func essence(_ node: JSON) -> JSON {
        var status = node["status"] ?? .null
        status["conditions"] = .array(
            (status["conditions"]?.array ?? []).map {
                var condition = $0
                condition["lastHeartbeatTime"] = nil
                return condition
            })
        return status
    }

    /// What became of a node's conditions, as kubelet's events name it: `NodeHasDiskPressure`.
    static func changes(from old: JSON, to new: JSON) -> [(reason: String, message: String)] {
        let before = old["status", "conditions"]?.array ?? []
        return (new["status", "conditions"]?.array ?? []).compactMap { condition in
            guard let reason = condition["reason"]?.string, reason.hasPrefix("Kubelet"),
                before.first(where: { $0["type"] == condition["type"] })?["status"] != condition["status"]
            else { return nil }
            let event = "Node" + reason.dropFirst("Kubelet".count)
            let isWell = condition["status"]?.string == (condition["type"] == "Ready" ? "True" : "False")
            let why = isWell ? "" : ": \(condition["message"]?.string ?? "")"
            return (event, "Node \(new.name) status is now: \(event)\(why)")
        }
    }

    /// Whether a node has all conditions of another, with the same words; further ones, and times, do not count.
    static func hasConditions(_ node: JSON, of other: JSON) -> Bool {
        let present = node["status", "conditions"]?.array ?? []
        return (other["status", "conditions"]?.array ?? []).allSatisfy { wanted in
            guard let found = present.first(where: { $0["type"] == wanted["type"] }) else { return false }
            return ["status", "reason", "message"].allSatisfy {
                (found[$0]?.string ?? "") == (wanted[$0]?.string ?? "")
            }
        }
    }
}
