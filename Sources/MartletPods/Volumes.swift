internal import MartletObject

/// A volume of a pod (core/v1 Volume).
public struct VolumeSpec: Sendable, Hashable {
    /// One file chosen from an object's keys, or one of the downward API's.
    public struct Item: Sendable, Hashable {
        /// The key in the object, or the field's path.
        public var source: EnvironmentSpec.Source
        /// Where in the volume.
        public var path: String
        /// Its mode; nil for the volume's default.
        public var mode: UInt32?
    }
    /// What is in it.
    public indirect enum Source: Sendable, Hashable {
        /// An empty folder that lives as long as the pod.
        case emptyDir
        /// A path of the host; `type` as in HostPathVolumeSource.
        case hostPath(String, type: String)
        /// The keys of a ConfigMap or Secret, all of them when `items` is nil.
        case keys(ConfigReference, items: [String: Item]?, isOptional: Bool)
        /// Fields of the pod.
        case downwardAPI([Item])
        /// A token of the pod's service account, in one file.
        case token(TokenReference, path: String)
        /// Several of these in one folder.
        case projected([Source])
        /// Something this node cannot provide; the text names it.
        case unsupported(String)
    }

    /// Its name in the pod.
    public var name: String
    /// What is in it.
    public var source: Source
    /// The mode of files that name none.
    public var defaultMode: UInt32

    init(_ json: JSON) {
        name = json["name"]?.string ?? ""
        source = Source(json)
        let body = json["configMap"] ?? json["secret"] ?? json["downwardAPI"] ?? json["projected"]
        defaultMode = UInt32(clamping: body?["defaultMode"]?.int ?? 0o644) & 0o777
    }

    /// Whether its files are made and kept current by the node.
    public var isMadeOfFiles: Bool {
        switch source {
        case .keys, .downwardAPI, .projected: true
        default: false
        }
    }
}

extension VolumeSpec.Source {
    init(_ json: JSON) {
        if let path = json["hostPath"] {
            self = .hostPath(path["path"]?.string ?? "", type: path["type"]?.string ?? "")
        } else if let map = json["configMap"] {
            self = Self.keys(of: map, .configMap, name: map["name"]?.string)
        } else if let secret = json["secret"] {
            self = Self.keys(of: secret, .secret, name: secret["secretName"]?.string ?? secret["name"]?.string)
        } else if let downward = json["downwardAPI"] {
            self = .downwardAPI((downward["items"]?.array ?? []).map(Self.downwardItem))
        } else if let projected = json["projected"] {
            self = .projected((projected["sources"]?.array ?? []).map { Self($0) })
        } else if let token = json["serviceAccountToken"] {
            self = .token(
                TokenReference(
                    audience: token["audience"]?.string ?? "",
                    expirationSeconds: Int64(token["expirationSeconds"]?.int ?? 3600)),
                path: token["path"]?.string ?? "")
        } else if json["emptyDir"] != nil {
            self = .emptyDir
        } else {
            self = .unsupported(json.members.first(where: { $0.key != "name" })?.key ?? "unknown")
        }
    }

    private static func keys(of json: JSON, _ kind: ConfigReference.Kind, name: String?) -> Self {
        var items: [String: VolumeSpec.Item]?
        if let chosen = json["items"]?.array {
            items = [:]
            for item in chosen {
                let key = item["key"]?.string ?? ""
                items?[key] = VolumeSpec.Item(
                    source: .value(""), path: item["path"]?.string ?? key,
                    mode: item["mode"]?.int.map { UInt32(clamping: $0) & 0o777 })
            }
        }
        return .keys(
            ConfigReference(kind, name: name ?? ""), items: items, isOptional: json["optional"]?.bool ?? false)
    }

    private static func downwardItem(_ item: JSON) -> VolumeSpec.Item {
        let source: EnvironmentSpec.Source =
            if let ref = item["resourceFieldRef"] {
                EnvironmentSpec.resource(ref)
            } else {
                .field(item["fieldRef", "fieldPath"]?.string ?? "")
            }
        return VolumeSpec.Item(
            source: source, path: item["path"]?.string ?? "",
            mode: item["mode"]?.int.map { UInt32(clamping: $0) & 0o777 })
    }

    var references: Set<ConfigReference> {
        switch self {
        case .keys(let reference, _, _): [reference]
        case .projected(let sources): sources.reduce(into: []) { $0.formUnion($1.references) }
        default: []
        }
    }

    var tokens: Set<TokenReference> {
        switch self {
        case .token(let reference, _): [reference]
        case .projected(let sources): sources.reduce(into: []) { $0.formUnion($1.tokens) }
        default: []
        }
    }
}

/// One file of a volume.
public struct VolumeFile: Sendable, Hashable {
    /// Its path in the volume; never absolute, never with `..`.
    public var path: String
    /// Its bytes.
    public var bytes: [UInt8]
    /// Its mode.
    public var mode: UInt32
    /// A file from its parts.
    public init(path: String, bytes: [UInt8], mode: UInt32) {
        self.path = path
        self.bytes = bytes
        self.mode = mode
    }
}

extension PodSpec {
    /// The files of a volume that is made of files, ordered by path.
    public func files(
        of volume: VolumeSpec, in surroundings: PodSurroundings
    ) throws(ConfigurationError) -> [VolumeFile] {
        var files: [String: VolumeFile] = [:]
        try collect(volume.source, mode: volume.defaultMode, in: surroundings, into: &files)
        return files.values.sorted { $0.path < $1.path }
    }

    private func collect(
        _ source: VolumeSpec.Source, mode: UInt32, in surroundings: PodSurroundings,
        into files: inout [String: VolumeFile]
    ) throws(ConfigurationError) {
        switch source {
        case .emptyDir, .hostPath: return
        case .unsupported(let kind): throw ConfigurationError("volumes of kind \(kind) are not supported by this node")
        case .projected(let sources):
            for source in sources { try collect(source, mode: mode, in: surroundings, into: &files) }
        case .token(let reference, let path):
            guard let token = surroundings.tokens[reference] else {
                throw ConfigurationError("there is no token of service account \"\(serviceAccountName)\" yet")
            }
            try add(path, Array(token.utf8), mode, to: &files)
        case .downwardAPI(let items):
            for item in items {
                let text = try text(of: item, in: surroundings)
                try add(item.path, Array(text.utf8), item.mode ?? mode, to: &files)
            }
        case .keys(let reference, let items, let isOptional):
            guard let contents = try surroundings.contents(of: reference) else {
                if isOptional { return }
                throw ConfigurationError("\(reference.kind.rawValue) \"\(reference.name)\" not found")
            }
            guard let items else {
                for (key, bytes) in contents { try add(key, bytes, mode, to: &files) }
                return
            }
            for (key, item) in items {
                guard let bytes = contents[key] else {
                    if isOptional { continue }
                    throw ConfigurationError(
                        "\(reference.kind.rawValue) \"\(reference.name)\" references non-existent key: \(key)")
                }
                try add(item.path, bytes, item.mode ?? mode, to: &files)
            }
        }
    }

    private func text(
        of item: VolumeSpec.Item, in surroundings: PodSurroundings
    ) throws(ConfigurationError) -> String {
        switch item.source {
        case .field(let path):
            guard let value = field(path, in: surroundings) else {
                throw ConfigurationError("field path \"\(path)\" of a downwardAPI volume is not supported")
            }
            return value
        case .resource(let name, let resource, let divisor):
            guard let container = container(named: name) else {
                throw ConfigurationError("a downwardAPI volume names container \"\(name)\", which is not there")
            }
            return container.resources.text(of: resource, divisor: divisor, in: surroundings)
        case .value, .key: return ""
        }
    }

    private func add(
        _ path: String, _ bytes: [UInt8], _ mode: UInt32, to files: inout [String: VolumeFile]
    ) throws(ConfigurationError) {
        guard let path = RelativePath.checked(path) else {
            throw ConfigurationError("path \"\(path)\" would leave its volume")
        }
        files[path] = VolumeFile(path: path, bytes: bytes, mode: mode)
    }
}

/// Paths that must stay inside a folder.
public enum RelativePath {
    /// The path without empty and `.` components; nil when it is absolute, empty, or has a `..` in it.
    public static func checked(_ path: String) -> String? {
        guard !path.hasPrefix("/"), !path.utf8.contains(0) else { return nil }
        let components = path.split(separator: "/").filter { $0 != "." }
        guard !components.isEmpty, !components.contains("..") else { return nil }
        return components.joined(separator: "/")
    }
}
