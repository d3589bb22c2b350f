/// How the values of a kind are owned and merged by several writers: what server-side apply knows of its schema. The
/// tables of the built-in kinds and the schemas of custom ones are both turned into this, once.
///
/// A list of nodes that refer to each other by place, so that a type may hold itself.
public struct Shape: Sendable {
    /// What stands at one place of an object.
    public enum Node: Sendable {
        /// One value that is owned as a whole: a scalar, an atomic list, an atomic map or structure.
        case whole
        /// What no schema describes: objects by their members, all else as a whole.
        case deduced
        /// A list of scalars, each owned by itself.
        case set
        /// A list of objects that are told apart by key fields.
        case list(keys: [Key], element: Int)
        /// An object: its fields, and what other members are; nil when there may be none.
        case object(fields: [String: Field], others: Int?)
    }
    /// A field of a structure.
    public struct Field: Sendable {
        /// The node of its value.
        public var node: Int
        /// What the field is where an object leaves it out; nil: nothing. Upstream's structures always have those of
        /// their fields that are no pointers, and then nobody comes to own the field itself by filling it.
        public var absent: JSON?
        /// A field from its parts.
        public init(node: Int, absent: JSON? = nil) {
            self.node = node
            self.absent = absent
        }
    }
    /// A key field of a list's elements.
    public struct Key: Sendable {
        /// The field's name.
        public var name: String
        /// Its value in elements that leave it out.
        public var standard: JSON?
        /// A key field from its parts.
        public init(_ name: String, standard: JSON? = nil) {
            self.name = name
            self.standard = standard
        }
    }

    /// All nodes.
    public let nodes: [Node]
    /// The place of the object itself.
    public let root: Int

    /// A shape from its parts.
    /// - Precondition: `root` and every node that another names are places in `nodes`.
    public init(nodes: [Node], root: Int) {
        self.nodes = nodes
        self.root = root
    }

    /// A kind that no schema describes.
    public static let unknown = Shape(nodes: [.deduced], root: 0)

    /// The shape of a kind's objects.
    public static func of(_ kind: ResourceKind) -> Shape {
        if let custom = kind.custom { return custom.shape }
        guard let place = SchemaTables.all.place(of: kind.kind, in: kind.apiVersion) else { return unknown }
        return Shape(nodes: tables.nodes, root: tables.roots[place])
    }

    private static let tables = TableShapes(SchemaTables.all)
}

/// The nodes of all types of the tables.
private struct TableShapes {
    private(set) var nodes: [Shape.Node] = [.whole, .deduced, .set]
    /// The node of each type of the tables, by the type's place.
    private(set) var roots: [Int] = []

    /// Places of the nodes that are alike everywhere.
    private static let (whole, deduced, set) = (0, 1, 2)

    init(_ tables: SchemaTables) {
        for _ in tables.types {
            roots.append(nodes.count)
            nodes.append(.whole)
        }
        for (place, type) in tables.types.enumerated() {
            // A type that is atomic everywhere stays whole.
            guard case .structure(let fields) = type.form, !Self.atomicTypes.contains(type.name) else { continue }
            var members: [String: Shape.Field] = [:]
            for field in fields {
                members[field.name] = Shape.Field(
                    node: node(of: field, tables), absent: Self.absent(field, of: type, tables))
            }
            nodes[roots[place]] = .object(fields: members, others: nil)
        }
        openClaims(tables)
    }

    private mutating func add(_ node: Shape.Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    private mutating func node(of field: SchemaField, _ tables: SchemaTables) -> Int {
        if field.isAtomicMap { return Self.whole }
        guard case .list(let element) = tables.resolved(field.type) else { return node(of: field.type, tables) }
        switch field.listKind {
        case .atomic: return Self.whole
        case .set: return Self.set
        case .map(let names):
            let structure = tables.structure(element)
            let keys = names.map { Shape.Key($0, standard: structure?.field($0)?.defaultValue?.value) }
            return add(.list(keys: keys, element: node(of: element, tables)))
        }
    }

    private mutating func node(of type: FieldType, _ tables: SchemaTables) -> Int {
        switch tables.resolved(type) {
        case .named(let place): roots[place]
        case .map(let element): add(.object(fields: [:], others: node(of: element, tables)))
        case .any: Self.deduced
        default: Self.whole
        }
    }

    /// `claimRef` of a PersistentVolume is the one field that is granular though its type is atomic.
    private mutating func openClaims(_ tables: SchemaTables) {
        guard let place = tables.types.firstIndex(where: { $0.name == "ObjectReference" }),
            let owner = tables.types.firstIndex(where: { $0.name == "PersistentVolumeSpec" }),
            case .object(var fields, let others) = nodes[roots[owner]], fields["claimRef"] != nil
        else { return }
        var members: [String: Shape.Field] = [:]
        for field in tables.types[place].fields { members[field.name] = Shape.Field(node: Self.whole) }
        fields["claimRef"] = Shape.Field(node: add(.object(fields: members, others: nil)))
        nodes[roots[owner]] = .object(fields: fields, others: others)
    }

    private static func absent(_ field: SchemaField, of type: SchemaType, _ tables: SchemaTables) -> JSON? {
        switch tables.resolved(field.type) {
        case .named where standing.contains(field.name) || standing.contains("\(type.name).\(field.name)"): [:]
        case .list where field.isRequired: .null
        default: nil
        }
    }

    /// Structures that are one value wherever they stand (upstream's `structType=atomic`).
    private static let atomicTypes: Set<String> = [
        "ConfigMapKeySelector", "EndpointAddress", "EndpointPort", "FileKeySelector", "LocalObjectReference",
        "NodeSelector", "NodeSelectorTerm", "ObjectFieldSelector", "ObjectReference", "ResourceFieldSelector",
        "ScopeSelector", "SecretKeySelector", "SecretReference", "TopologySelectorTerm", "TypedLocalObjectReference",
        "LabelSelector", "OwnerReference", "RoleRef", "Subject", "ParamKind", "ParamRef", "MatchResources",
        "NamedRuleWithOperations",
    ]

    /// Structures that upstream's objects always have: by field, and by type and field where others of that name are
    /// pointers.
    private static let standing: Set<String> = [
        "metadata", "spec", "status", "strategy", "updateStrategy", "jobTemplate", "scaleTargetRef", "roleRef",
        "nodeInfo", "daemonEndpoints", "kubeletEndpoint", "loadBalancer", "clientConfig", "DeploymentSpec.template",
        "StatefulSetSpec.template", "DaemonSetSpec.template", "ReplicaSetSpec.template", "JobSpec.template",
        "PodTemplate.template", "Container.resources", "EphemeralContainer.resources",
        "PersistentVolumeClaimSpec.resources", "ContainerStatus.state", "ContainerStatus.lastState",
        "Event.involvedObject", "Event.source", "Event.regarding", "Event.deprecatedSource", "Endpoint.conditions",
        "NetworkPolicySpec.podSelector", "FlowSchemaSpec.priorityLevelConfiguration", "VolumeAttachmentSpec.source",
        "CustomResourceDefinitionSpec.names", "CustomResourceDefinitionStatus.acceptedNames", "ResourceSliceSpec.pool",
        "ResourceClaimSpec.devices", "AllocationResult.devices", "PreferredSchedulingTerm.preference",
        "WeightedPodAffinityTerm.podAffinityTerm", "HTTPIngressPath.backend", "IngressServiceBackend.port",
    ]
}
