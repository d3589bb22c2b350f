internal import MartletObject
internal import MartletStore

/// What is special about a kind, where its row in the tables does not say it. The verbs are the same for all kinds;
/// a kind that needs something of its own gets it here, in one row.
struct Strategy: Sendable {
    /// When `metadata.generation` rises.
    enum Generations: Sendable {
        /// The kind has none.
        case none
        /// When `spec` changes.
        case spec
        /// When `spec` or the annotations change.
        case specAndAnnotations
        /// When anything but metadata and status changes.
        case content
        /// When anything but metadata changes.
        case everything
    }

    var generations: Generations = .none
    /// Whether a new object brings its own status along.
    var keepsStatusOnCreate = false
    /// The status of a new object else: what clients may rely on to be there. Nil: none.
    var initialStatus: JSON? = [:]
    /// Whether a deletion that does not say so leaves behind what the object owns.
    var orphansByDefault = false
    /// Whether a deletion answers with the object, and not with a Status.
    var returnsDeletedObject = false
    /// Whether an update must name the resourceVersion it is made from.
    var needsRevisionOnUpdate = false
    /// Admission and preparation of a new object, after defaulting.
    var prepareForCreate: @Sendable (inout JSON) -> Void = { _ in }
    /// What a new object says of who asked for it.
    var nameRequester: @Sendable (inout JSON, Identity) -> Void = { _, _ in }
    /// Preparation of a changed object; the second is the old one.
    var prepareForUpdate: @Sendable (inout JSON, JSON) -> Void = { _, _ in }
    /// What of the metadata an update of the status does not change.
    var keptByStatus: Set<String> = []
    /// Preparation of a changed status; the second is the old object.
    var prepareForStatus: @Sendable (inout JSON, JSON, WritePart) -> Void = { _, _, _ in }
    /// How many seconds a deletion leaves the object, when its makers must see to the end first: given the object
    /// and what the request asks for. Nil for kinds that go at once.
    var gracePeriod: (@Sendable (JSON, Int?) -> Int)?
    /// What changes in an object whose deletion begins.
    var prepareForDelete: @Sendable (inout JSON) -> Void = { _ in }
    /// Whether the object must stay though it is being deleted and has no `metadata.finalizers`.
    var holdsRemoval: @Sendable (JSON) -> Bool = { _ in false }
    /// Why this object may never be deleted; nil for all but a few.
    var refusesDeletion: @Sendable (JSON) -> String? = { _ in nil }
    /// Fills in what is drawn from a pool (cluster IPs, node ports); the second is the old object.
    var allocate: (@Sendable (inout JSON, JSON?, Allocator) async throws(APIError) -> Void)?
    /// The pool keys that an object holds. They are taken and given back in the object's own transaction.
    var holdings: @Sendable (JSON) -> Set<[UInt8]> = { _ in [] }
    /// What whoever writes the object is warned of, besides what ``FieldWarnings`` says.
    var warnings: @Sendable (JSON) -> [String] = { _ in [] }

    /// The row of a kind.
    static func of(_ kind: ResourceKind) -> Strategy {
        kind.custom.map { .custom($0) } ?? table[kind] ?? Strategy()
    }

    private static let table = own.merging(gatewayAPI) { own, _ in own }

    private static let own: [ResourceKind: Strategy] = [
        .namespace: .namespace,
        .node: .node,
        .pod: .pod,
        .service: .service,
        .secret: .secret,
        .serviceAccount: Strategy(returnsDeletedObject: true),
        .deployment: Strategy(generations: .specAndAnnotations, keptByStatus: ["labels"]),
        .replicaSet: Strategy(generations: .spec, initialStatus: ["replicas": 0]),
        .replicationController: Strategy(
            generations: .spec, initialStatus: ["replicas": 0], orphansByDefault: true),
        .statefulSet: Strategy(generations: .spec, initialStatus: ["replicas": 0, "availableReplicas": 0]),
        .daemonSet: Strategy(
            generations: .spec,
            initialStatus: [
                "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
            ]),
        .job: .job,
        .cronJob: Strategy(generations: .spec),
        .podTemplate: Strategy(generations: .content, returnsDeletedObject: true),
        .persistentVolume: Strategy(initialStatus: ["phase": "Pending"], returnsDeletedObject: true),
        .persistentVolumeClaim: Strategy(initialStatus: ["phase": "Pending"], returnsDeletedObject: true),
        .resourceQuota: Strategy(returnsDeletedObject: true),
        .endpointSlice: Strategy(generations: .content),
        .ingress: Strategy(generations: .spec, initialStatus: ["loadBalancer": [:]]),
        .ingressClass: Strategy(generations: .spec),
        .networkPolicy: Strategy(generations: .spec),
        .customResourceDefinition: .customResourceDefinition,
        .lease: Strategy(needsRevisionOnUpdate: true),
        .podAutoscaler: Strategy(initialStatus: ["desiredReplicas": 0]),
        .podAutoscalerV1: Strategy(initialStatus: ["currentReplicas": 0, "desiredReplicas": 0]),
        .disruptionBudget: Strategy(
            generations: .spec,
            initialStatus: ["disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0]),
        .priorityClass: Strategy(generations: .content),
        .storageClass: Strategy(returnsDeletedObject: true),
        .volumeAttachment: Strategy(initialStatus: ["attached": false], returnsDeletedObject: true),
        .csiDriver: Strategy(generations: .spec, returnsDeletedObject: true),
        .csiNode: Strategy(returnsDeletedObject: true),
        .volumeAttributesClass: Strategy(returnsDeletedObject: true),
        .certificateSigningRequest: .signingRequest,
    ]
}

extension Strategy {
    /// The generation of a changed object.
    func generation(of object: JSON, after old: JSON) -> Int {
        let changed =
            switch generations {
            case .none: false
            case .spec: Self.spec(object) != Self.spec(old)
            case .specAndAnnotations:
                Self.spec(object) != Self.spec(old) || object.annotations != old.annotations
            case .content: Self.content(object) != Self.content(old)
            case .everything:
                Self.content(object) != Self.content(old) || object["status"] != old["status"]
            }
        return old.generation + (changed ? 1 : 0)
    }

    private static func spec(_ object: JSON) -> JSON { object["spec"] ?? .null }

    private static func content(_ object: JSON) -> JSON {
        var object = object
        object["metadata"] = nil
        object["status"] = nil
        return object
    }
}
