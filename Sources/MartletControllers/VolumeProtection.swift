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
        kind == .pod && !object.claimNames.isEmpty
    }

    /// The claim, or those of the pod.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        let names = kind == .pod ? object.claimNames : [object.name]
        return names.map { ObjectKey(.persistentVolumeClaim, namespace: object.namespace, name: $0) }
    }

    /// Takes the finalizer off, or puts it on a claim that is older than its protection.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let claim = snapshot.get(key) else { return [] }
        let change = VolumeProtection.change(of: claim, key.kind) {
            snapshot.list(.pod, namespace: key.namespace).contains { $0.uses(claim: claim) }
        }
        guard let change else { return [] }
        return [claim.isTerminating ? .release(claim: claim, change) : .patchMetadata(key, change)]
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
        let change = VolumeProtection.change(of: volume, key.kind) { volume["status", "phase"]?.string == "Bound" }
        return change.map { [.patchMetadata(key, $0)] } ?? []
    }
}

private enum VolumeProtection {
    /// What is to be done about the finalizer of a claim or volume, as a patch; nil for nothing.
    static func change(of object: JSON, _ kind: ResourceKind, isUsed: () -> Bool) -> JSON? {
        guard let finalizer = kind.useFinalizer else { return nil }
        let finalizers = object["metadata", "finalizers"]?.array ?? []
        let isProtected = finalizers.contains(.string(finalizer))
        // Nothing is put on what goes already.
        if isProtected != object.isTerminating || (object.isTerminating && isUsed()) { return nil }
        let changed =
            isProtected ? finalizers.filter { $0 != .string(finalizer) } : finalizers + [.string(finalizer)]
        return object.metadataPatch(["finalizers": .array(changed)])
    }
}
