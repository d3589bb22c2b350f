internal import MartletObject

/// What a container asks for and what it is held to (core/v1 ResourceRequirements).
public struct ResourceNeeds: Sendable, Hashable {
    /// `requests.cpu` in thousandths of a core; a limit without a request counts as one.
    public var cpuRequest: Int64?
    /// `requests.memory` in bytes.
    public var memoryRequest: Int64?
    /// `limits.cpu` in thousandths of a core.
    public var cpuLimit: Int64?
    /// `limits.memory` in bytes.
    public var memoryLimit: Int64?
    /// `requests` in the API's words; empty for none.
    let requests: JSON
    /// `limits` in the API's words; empty for none.
    let limits: JSON

    init(_ json: JSON) {
        requests = json["requests"] ?? [:]
        limits = json["limits"] ?? [:]
        cpuLimit = Quantity(json["limits", "cpu"])?.milli
        memoryLimit = Quantity(json["limits", "memory"])?.whole
        cpuRequest = Quantity(json["requests", "cpu"])?.milli ?? cpuLimit
        memoryRequest = Quantity(json["requests", "memory"])?.whole ?? memoryLimit
    }

    /// As the API has it.
    var shown: JSON {
        var shown: JSON = [:]
        if requests != [:] { shown["requests"] = requests }
        if limits != [:] { shown["limits"] = limits }
        return shown
    }

    /// Which of `cpu` and `memory` are other than those of `old`.
    func changes(from old: ResourceNeeds) -> Set<String> {
        var names: Set<String> = []
        if (cpuRequest, cpuLimit) != (old.cpuRequest, old.cpuLimit) { names.insert("cpu") }
        if (memoryRequest, memoryLimit) != (old.memoryRequest, old.memoryLimit) { names.insert("memory") }
        return names
    }

    /// CPU weight as cgroup v1 shares: 1024 a core, at least 2 (cm.MilliCPUToShares).
    public var cpuShares: Int64 {
        guard let cpuRequest, cpuRequest > 0 else { return 2 }
        return min(262_144, max(2, cpuRequest.multipliedClamped(by: 1024) / 1000))
    }

    /// Microseconds of CPU time in each period of 100 ms, at least 1 ms; 0 for no limit (cm.MilliCPUToQuota).
    public var cpuQuota: Int64 {
        guard let cpuLimit, cpuLimit > 0 else { return 0 }
        return max(1000, cpuLimit.multipliedClamped(by: 100))
    }
}

extension Int64 {
    /// The product, at the end of the range when it does not fit.
    func multipliedClamped(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? ((self < 0) == (factor < 0) ? .max : .min) : product
    }

    /// The sum, at the end of the range when it does not fit.
    func addedClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (self < 0 ? .min : .max) : sum
    }
}

extension PodSpec {
    /// `status.qosClass`: Guaranteed when every container's limits are set and equal its requests, BestEffort when
    /// none sets anything, else Burstable.
    public var qosClass: String {
        let all = (initContainers + containers).map(\.resources)
        let isEmpty: (Int64?) -> Bool = { ($0 ?? 0) == 0 }
        if all.allSatisfy({
            isEmpty($0.cpuRequest) && isEmpty($0.memoryRequest) && isEmpty($0.cpuLimit) && isEmpty($0.memoryLimit)
        }) {
            return "BestEffort"
        }
        let guaranteed = all.allSatisfy {
            !isEmpty($0.cpuLimit) && !isEmpty($0.memoryLimit) && $0.cpuRequest == $0.cpuLimit
                && $0.memoryRequest == $0.memoryLimit
        }
        return guaranteed ? "Guaranteed" : "Burstable"
    }

    /// What the kernel adds to the badness of the container's processes, by class of service (kubelet's
    /// qos.GetContainerOOMScoreAdjust), but never below 0: lowering it takes a capability that nodes may lack.
    public func oomScoreAdjustment(of container: ContainerSpec, memoryCapacity: Int64) -> Int64 {
        switch qosClass {
        case "Guaranteed": return 0
        case "BestEffort": return 1000
        default:
            guard memoryCapacity > 0 else { return 999 }
            let share = (container.resources.memoryRequest ?? 0).multipliedClamped(by: 1000) / memoryCapacity
            return min(999, max(3, 1000 - share))
        }
    }
}
