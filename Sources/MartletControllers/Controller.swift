public import MartletBase
public import MartletObject

/// One control loop as a pure function: it looks at one object in a snapshot and says what should be done. It never
/// waits and never writes; a shell feeds it and carries out its wishes through the API.
public protocol Controller: Sendable {
    /// Its name, for logs and as the source of events: `deployment-controller`.
    var name: String { get }
    /// The kinds whose changes can call for work.
    var kinds: [ResourceKind] { get }
    /// Whether the kinds of CustomResourceDefinitions can call for work, too.
    var followsCustomKinds: Bool { get }
    /// Whether it reads more of an object than its `JSON.ownershipHead`. What nobody reads is not kept: a cluster has
    /// many objects.
    func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool
    /// Which objects to look at after `object` has changed or gone.
    func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey]
    /// What should be done about the object `key`, present or gone. The wishes are carried out in order; when one
    /// fails, those after it are dropped and the object is looked at again.
    func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent]
}

extension Controller {
    /// Most controllers know their kinds.
    public var followsCustomKinds: Bool { false }

    /// Most controllers read what their objects say.
    public func needsWhole(_ object: JSON, of kind: ResourceKind) -> Bool { true }

    /// Whether changes of the kind can call for work.
    public func follows(_ kind: ResourceKind) -> Bool {
        kind.custom == nil ? kinds.contains(kind) : followsCustomKinds
    }
}

/// What a controller may know beside the snapshot.
public struct ControllerContext: Sendable {
    /// The calendar's time.
    public var now: WallTime
    /// Chance, for names.
    public var random: SplitMix64

    /// A context at a moment.
    public init(now: WallTime, random: SplitMix64) {
        self.now = now
        self.random = random
    }

    /// `prefix` with five random characters, as the API makes names from `generateName`.
    mutating func generateName(_ prefix: String) -> String {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return prefix + String((0..<5).map { _ in alphabet.randomElement(using: &random) ?? "x" })
    }
}

/// The control loops of a cluster.
public enum StandardControllers {
    /// All of them.
    /// - Parameters:
    ///   - podCIDRs: what nodes get their pod ranges from; none when something else hands them out.
    ///   - authority: the cluster's authority (PEM), for pods to know the API by; nil when it is published elsewhere.
    ///   - sign: makes a service account token of its claims; nil when Secrets get none.
    public static func all(
        podCIDRs: [PodCIDR], authority: String? = nil, sign: (@Sendable (JSON) throws -> String)? = nil
    ) -> [any Controller] {
        var all: [any Controller] = [
            DeploymentController(), ReplicaSetController(), EndpointSliceController(), NodeLifecycleController(),
            DisruptionController(), TaintEvictionController(), PodGarbageCollector(),
        ]
        if !podCIDRs.isEmpty { all.append(NodeRangeController(podCIDRs: podCIDRs)) }
        return all + ofObjects(authority: authority, sign: sign)
    }

    /// Those that a gateway needs to keep its word about objects: namespaces empty and go, what is owned goes with its
    /// owners, accounts and roles are complete, claims and volumes stay while they are used. Nothing that makes, places
    /// or ends pods.
    /// The parameters are those of ``all(podCIDRs:authority:sign:)``.
    public static func ofObjects(
        authority: String?, sign: (@Sendable (JSON) throws -> String)?
    ) -> [any Controller] {
        var some: [any Controller] = [
            NamespaceController(), GarbageCollector(), ServiceAccountController(), RoleAggregationController(),
            EventPruner(), ClaimProtectionController(), VolumeProtectionController(),
        ]
        if let authority {
            some.append(RootAuthorityController(authority: authority))
            if let sign { some.append(ServiceAccountTokenController(authority: authority, sign: sign)) }
        }
        return some
    }
}

/// What `IntOrString` fields ask for.
enum Portion {
    /// A number, or a percentage of `whole`; text that is neither is none. At most what 32 bits hold, as the fields
    /// that are counted with it.
    static func of(_ whole: Int, _ value: JSON, roundingUp: Bool) -> Int {
        let most = Int(Int32.max)
        if let number = value.int { return min(number, most) }
        let text = value.string ?? ""
        guard let percent = Int(text.hasSuffix("%") ? String(text.dropLast()) : text) else { return 0 }
        let (hundredths, overflows) = whole.multipliedReportingOverflow(by: percent)
        if overflows { return most }
        let (quotient, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
        return min(roundingUp && rest > 0 ? quotient + 1 : quotient, most)
    }
}

/// Small words that several controllers share.
enum Owner {
    /// The owner reference of a controlled object.
    static func reference(to owner: JSON, kind: ResourceKind) -> JSON {
        [
            "apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind), "name": .string(owner.name),
            "uid": .string(owner.uid), "controller": true, "blockOwnerDeletion": true,
        ]
    }

    /// The key of the controller of `object`, when that is of `kind`.
    static func key(of object: JSON, kind: ResourceKind) -> ObjectKey? {
        guard let reference = object.controllerReference, reference["kind"]?.string == kind.kind,
            let name = reference["name"]?.string
        else { return nil }
        return ObjectKey(kind, namespace: object.namespace, name: name)
    }
}

/// What controllers read of pods.
enum PodFacts {
    /// Whether the pod counts as a replica: neither ended nor on its way out.
    static func isActive(_ pod: JSON) -> Bool {
        let phase = pod["status", "phase"]?.string ?? ""
        return phase != "Succeeded" && phase != "Failed" && !pod.isTerminating
    }

    /// The condition of that type.
    static func condition(_ type: String, of object: JSON) -> JSON? {
        object["status", "conditions"]?.array?.first { $0["type"]?.string == type }
    }

    /// Whether the pod's Ready condition is true.
    static func isReady(_ pod: JSON) -> Bool { condition("Ready", of: pod)?["status"]?.string == "True" }

    /// How long a ready pod must still stay ready to count as available: 0 for at once, nil when it is not ready.
    static func secondsToAvailable(_ pod: JSON, minReadySeconds: Int, now: WallTime) -> Int? {
        guard let ready = condition("Ready", of: pod), ready["status"]?.string == "True" else { return nil }
        if minReadySeconds == 0 { return 0 }
        guard let since = ready["lastTransitionTime"]?.string.flatMap(WallTime.init(rfc3339:)) else {
            return minReadySeconds
        }
        return max(0, minReadySeconds - Int(now.seconds - since.seconds))
    }
}
