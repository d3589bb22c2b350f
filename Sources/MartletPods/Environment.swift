internal import MartletBase
public import MartletObject

/// Why a container's environment or a volume's contents cannot be worked out; the message names the object.
public struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

/// A ConfigMap or Secret that a pod uses.
public struct ConfigReference: Sendable, Hashable {
    /// Which of the two.
    public enum Kind: String, Sendable, Hashable {
        /// A ConfigMap.
        case configMap = "configmap"
        /// A Secret.
        case secret = "secret"
    }
    /// Which of the two.
    public var kind: Kind
    /// Its name, in the pod's namespace.
    public var name: String
    /// A reference from its parts.
    public init(_ kind: Kind, name: String) {
        self.kind = kind
        self.name = name
    }
}

/// What a pod's environment and volumes are worked out from.
public struct PodSurroundings: Sendable {
    /// The ConfigMaps and Secrets that exist, of those the pod uses.
    public var objects: [ConfigReference: JSON]
    /// The tokens of the pod's service account that there are.
    public var tokens: [TokenReference: String] = [:]
    /// The pod's addresses, first the primary one.
    public var podIPs: [String]
    /// The node's addresses, first the primary one.
    public var hostIPs: [String]
    /// The node's allocatable CPU in thousandths, for containers without a limit.
    public var nodeMilliCPU: Int64
    /// The node's allocatable memory in bytes, for containers without a limit.
    public var nodeMemory: Int64

    /// Surroundings from their parts.
    public init(
        objects: [ConfigReference: JSON], podIPs: [String], hostIPs: [String], nodeMilliCPU: Int64, nodeMemory: Int64
    ) {
        self.objects = objects
        self.podIPs = podIPs
        self.hostIPs = hostIPs
        self.nodeMilliCPU = nodeMilliCPU
        self.nodeMemory = nodeMemory
    }

    /// The bytes of an object by key; nil when there is no such object.
    func contents(of reference: ConfigReference) throws(ConfigurationError) -> [String: [UInt8]]? {
        guard let object = objects[reference] else { return nil }
        var contents: [String: [UInt8]] = [:]
        let encoded = reference.kind == .secret ? "data" : "binaryData"
        for (key, value) in object[encoded]?.stringMap ?? [:] {
            guard let bytes = Base64.decode(value) else {
                throw ConfigurationError("\(reference.kind.rawValue) \"\(reference.name)\": key \(key) is not base64")
            }
            contents[key] = bytes
        }
        if reference.kind == .configMap {
            for (key, value) in object["data"]?.stringMap ?? [:] { contents[key] = Array(value.utf8) }
        }
        return contents
    }
}

/// A token of a pod's service account, as a volume asks for it (core/v1 ServiceAccountTokenProjection).
public struct TokenReference: Sendable, Hashable {
    /// Whom it is for; empty for the API itself.
    public var audience: String
    /// How long it is good for.
    public var expirationSeconds: Int64
    /// A reference from its parts.
    public init(audience: String, expirationSeconds: Int64) {
        self.audience = audience
        self.expirationSeconds = expirationSeconds
    }
}

/// One variable of `env`.
public struct EnvironmentSpec: Sendable, Hashable {
    /// Where its value comes from.
    public enum Source: Sendable, Hashable {
        /// `value`, with `$(VAR)` in it.
        case value(String)
        /// `valueFrom.configMapKeyRef` and `secretKeyRef`.
        case key(ConfigReference, key: String, isOptional: Bool)
        /// `valueFrom.fieldRef.fieldPath`
        case field(String)
        /// `valueFrom.resourceFieldRef`
        case resource(container: String, resource: String, divisor: String)
    }
    /// Its name.
    public var name: String
    /// Where its value comes from.
    public var source: Source

    init(_ json: JSON) {
        name = json["name"]?.string ?? ""
        source = .value(json["value"]?.string ?? "")
        guard let from = json["valueFrom"] else { return }
        let kinds: [(String, ConfigReference.Kind)] = [("configMapKeyRef", .configMap), ("secretKeyRef", .secret)]
        for (field, kind) in kinds {
            guard let ref = from[field] else { continue }
            source = .key(
                ConfigReference(kind, name: ref["name"]?.string ?? ""), key: ref["key"]?.string ?? "",
                isOptional: ref["optional"]?.bool ?? false)
        }
        if let ref = from["fieldRef"] { source = .field(ref["fieldPath"]?.string ?? "") }
        if let ref = from["resourceFieldRef"] { source = Self.resource(ref) }
    }

    static func resource(_ ref: JSON) -> Source {
        .resource(
            container: ref["containerName"]?.string ?? "", resource: ref["resource"]?.string ?? "",
            divisor: ref["divisor"]?.string ?? "1")
    }
}

/// One entry of `envFrom`.
public struct EnvironmentSource: Sendable, Hashable {
    /// The object whose keys become variables.
    public var reference: ConfigReference
    /// Put before each name.
    public var prefix: String
    /// Whether the object may be absent.
    public var isOptional: Bool

    init?(_ json: JSON) {
        prefix = json["prefix"]?.string ?? ""
        let kinds: [(String, ConfigReference.Kind)] = [("configMapRef", .configMap), ("secretRef", .secret)]
        guard let (field, kind) = kinds.first(where: { json[$0.0] != nil }), let ref = json[field] else { return nil }
        reference = ConfigReference(kind, name: ref["name"]?.string ?? "")
        isOptional = ref["optional"]?.bool ?? false
    }
}

/// One variable with its value.
public struct EnvironmentValue: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: String
    /// A variable.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

extension PodSpec {
    /// The ConfigMaps and Secrets that the pod uses, in a fixed order.
    public var references: [ConfigReference] {
        var found: Set<ConfigReference> = []
        for container in allContainers { found.formUnion(container.references) }
        for volume in volumes { found.formUnion(volume.source.references) }
        return found.sorted { ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name) }
    }

    /// The tokens of its service account that the pod's volumes hold, in a fixed order.
    public var tokens: [TokenReference] {
        let found = volumes.reduce(into: Set<TokenReference>()) { $0.formUnion($1.source.tokens) }
        return found.sorted { ($0.audience, $0.expirationSeconds) < ($1.audience, $1.expirationSeconds) }
    }

    /// The environment of a container, in order: `envFrom`, then `env`, each name once with its last value.
    public func environment(
        of container: ContainerSpec, in surroundings: PodSurroundings
    ) throws(ConfigurationError) -> [EnvironmentValue] {
        var result = EnvironmentTable()
        for source in container.environmentSources {
            guard let contents = try surroundings.contents(of: source.reference) else {
                if source.isOptional { continue }
                throw ConfigurationError("\(source.reference.kind.rawValue) \"\(source.reference.name)\" not found")
            }
            for (key, bytes) in contents.sorted(by: { $0.key < $1.key }) {
                result.set(source.prefix + key, String(decoding: bytes, as: UTF8.self))
            }
        }
        for variable in container.environment {
            guard let value = try value(of: variable, for: container, in: surroundings, before: result) else {
                continue
            }
            result.set(variable.name, value)
        }
        return result.values
    }

    /// `command` or `args` with `$(VAR)` replaced.
    public func expand(_ words: [String], with environment: [EnvironmentValue]) -> [String] {
        var table = EnvironmentTable()
        for variable in environment { table.set(variable.name, variable.value) }
        return words.map { table.expand($0) }
    }

    private func value(
        of variable: EnvironmentSpec, for container: ContainerSpec, in surroundings: PodSurroundings,
        before: EnvironmentTable
    ) throws(ConfigurationError) -> String? {
        switch variable.source {
        case .value(let text): return before.expand(text)
        case .field(let path):
            guard let value = field(path, in: surroundings) else {
                throw ConfigurationError("field path \"\(path)\" of variable \(variable.name) is not supported")
            }
            return value
        case .resource(let name, let resource, let divisor):
            let named = name.isEmpty ? container : self.container(named: name) ?? container
            return named.resources.text(of: resource, divisor: divisor, in: surroundings)
        case .key(let reference, let key, let isOptional):
            guard let contents = try surroundings.contents(of: reference) else {
                if isOptional { return nil }
                throw ConfigurationError("\(reference.kind.rawValue) \"\(reference.name)\" not found")
            }
            guard let bytes = contents[key] else {
                if isOptional { return nil }
                throw ConfigurationError(
                    "couldn't find key \(key) in \(reference.kind.rawValue) \(namespace)/\(reference.name)")
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The downward API's fields; nil when there is no such field.
    func field(_ path: String, in surroundings: PodSurroundings) -> String? {
        switch path {
        case "metadata.name": return name
        case "metadata.namespace": return namespace
        case "metadata.uid": return uid
        case "metadata.labels": return Self.lines(of: labels)
        case "metadata.annotations": return Self.lines(of: annotations)
        case "spec.nodeName": return nodeName
        case "spec.serviceAccountName": return serviceAccountName
        case "status.podIP": return surroundings.podIPs.first ?? ""
        case "status.podIPs": return surroundings.podIPs.joined(separator: ",")
        case "status.hostIP": return surroundings.hostIPs.first ?? ""
        case "status.hostIPs": return surroundings.hostIPs.joined(separator: ",")
        default:
            for (prefix, map) in [("metadata.labels['", labels), ("metadata.annotations['", annotations)]
            where path.hasPrefix(prefix) && path.hasSuffix("']") {
                return map[String(path.dropFirst(prefix.count).dropLast(2))] ?? ""
            }
            return nil
        }
    }

    /// `key="value"` lines, as the downward API writes maps.
    private static func lines(of map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { key, value in
            let escaped = value.reduce(into: "") { text, character in
                switch character {
                case "\"": text += "\\\""
                case "\\": text += "\\\\"
                case "\n": text += "\\n"
                default: text.append(character)
                }
            }
            return "\(key)=\"\(escaped)\""
        }.joined(separator: "\n")
    }
}

extension ContainerSpec {
    var references: Set<ConfigReference> {
        var found = Set(environmentSources.map(\.reference))
        for variable in environment {
            if case .key(let reference, _, _) = variable.source { found.insert(reference) }
        }
        return found
    }
}

extension ResourceNeeds {
    /// A `resourceFieldRef`: the quantity divided by the divisor, rounded up. Without a limit it is the node's.
    func text(of resource: String, divisor: String, in surroundings: PodSurroundings) -> String {
        let milli: Int64
        switch resource {
        case "limits.cpu": milli = cpuLimit ?? surroundings.nodeMilliCPU
        case "requests.cpu": milli = cpuRequest ?? 0
        case "limits.memory": milli = (memoryLimit ?? surroundings.nodeMemory).multipliedClamped(by: 1000)
        case "requests.memory": milli = (memoryRequest ?? 0).multipliedClamped(by: 1000)
        default: milli = 0
        }
        let unit = Quantity(divisor)?.milli ?? 1000
        let divided = milli / (unit > 0 ? unit : 1000)
        return String(divided + (milli > divided.multipliedClamped(by: unit > 0 ? unit : 1000) ? 1 : 0))
    }
}

/// Variables in order, each name once.
struct EnvironmentTable {
    private(set) var values: [EnvironmentValue] = []
    private var positions: [String: Int] = [:]

    mutating func set(_ name: String, _ value: String) {
        if let position = positions[name] {
            values[position].value = value
        } else {
            positions[name] = values.count
            values.append(EnvironmentValue(name: name, value: value))
        }
    }

    /// Replaces `$(NAME)` by the variable's value; an unknown name stays as it is, and `$$` is one `$`.
    func expand(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard bytes.contains(UInt8(ascii: "$")) else { return text }
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let next = index + 1 < bytes.count ? bytes[index + 1] : nil
            if bytes[index] == UInt8(ascii: "$"), next == UInt8(ascii: "$") {
                result.append(bytes[index])
                index += 2
            } else if bytes[index] == UInt8(ascii: "$"), next == UInt8(ascii: "("),
                let end = bytes[(index + 2)...].firstIndex(of: UInt8(ascii: ")"))
            {
                let name = String(decoding: bytes[(index + 2)..<end], as: UTF8.self)
                result += positions[name].map { Array(values[$0].value.utf8) } ?? Array(bytes[index...end])
                index = end + 1
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
