public import MartletObject

/// Lets go of a claim that is being deleted once no pod on a node uses it any more (kube-controller-manager's
/// persistentvolumeclaim-protection-controller).
public struct ClaimProtectionController: Controller {
    /// `persistentvolumeclaim-protection-controller`
    public let name = "persistentvolumeclaim-protection-controller"
    /// Claims and pods.
    public let kinds: [ResourceKind] = [.persistentVolumeClaim, .pod]

    /// A controller; it holds nothing.
    public init() {}

    /// Pods with claims.
    public func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool {
        kind == .pod && !Self.claims(of: object).isEmpty
    }

    /// The claim, or those of the pod.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        let names = kind == .pod ? Self.claims(of: object).map(\.name) : [object.name]
        return names.map { ObjectKey(.persistentVolumeClaim, namespace: object.namespace, name: $0) }
    }

    /// Takes the finalizer off, or puts it on a claim that is older than its protection.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let claim = snapshot.get(key) else { return [] }
        return VolumeProtection.intents(for: claim, key) {
            snapshot.list(.pod, namespace: key.namespace).contains { Self.uses($0, claim) }
        }
    }

    private struct Claim {
        var name: String
        /// Whether it is made for the pod, and owned by it.
        var isEphemeral: Bool
    }

    private static func claims(of pod: JSON) -> [Claim] {
        (pod["spec", "volumes"]?.array ?? []).compactMap { volume in
            if let name = volume["persistentVolumeClaim", "claimName"]?.string {
                return Claim(name: name, isEphemeral: false)
            }
            guard volume["ephemeral"] != nil, let name = volume["name"]?.string else { return nil }
            return Claim(name: "\(pod.name)-\(name)", isEphemeral: true)
        }
    }

    /// A pod counts from when it has a node until it is no more: nobody starts one whose claim is being deleted. What
    /// was made for a pod alone is free when its node has done with it.
    private static func uses(_ pod: JSON, _ claim: JSON) -> Bool {
        guard pod["spec", "nodeName"]?.string?.isEmpty == false else { return false }
        return claims(of: pod).contains { used in
            guard used.name == claim.name else { return false }
            if !used.isEphemeral { return true }
            let isShutDown = pod.isTerminating && pod["metadata", "deletionGracePeriodSeconds"]?.int == 0
            return !isShutDown && claim.controllerReference?["uid"]?.string == pod.uid
        }
    }
}

/// Lets go of a volume that is being deleted once no claim is bound to it any more (kube-controller-manager's
/// persistentvolume-protection-controller).
public struct VolumeProtectionController: Controller {
    /// `persistentvolume-protection-controller`
    public let name = "persistentvolume-protection-controller"
    /// Volumes.
    public let kinds: [ResourceKind] = [.persistentVolume]

    /// A controller; it holds nothing.
    public init() {}

    /// The volume.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        [ObjectKey(.persistentVolume, namespace: "", name: object.name)]
    }

    /// Takes the finalizer off, or puts it on a volume that is older than its protection.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let volume = snapshot.get(key) else { return [] }
        return VolumeProtection.intents(for: volume, key) { volume["status", "phase"]?.string == "Bound" }
    }
}

private enum VolumeProtection {
    /// What is to be done about the finalizer of a claim or volume.
    static func intents(for object: JSON, _ key: ObjectKey, isUsed: () -> Bool) -> [Intent] {
        guard let finalizer = key.kind.useFinalizer else { return [] }
        let finalizers = object["metadata", "finalizers"]?.array ?? []
        let isProtected = finalizers.contains(.string(finalizer))
        // Nothing is put on what goes already.
        if isProtected != object.isTerminating || (object.isTerminating && isUsed()) { return [] }
        let changed =
            isProtected ? finalizers.filter { $0 != .string(finalizer) } : finalizers + [.string(finalizer)]
        return [.changeMetadata(key, of: object, ["finalizers": .array(changed)])]
    }
}
