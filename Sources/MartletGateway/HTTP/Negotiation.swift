/// In which form an answer is wanted: what `Accept` asks for, among the forms that are served.
enum Representation: Sendable, Hashable {
    /// The object itself.
    case json
    /// `as=Table` of that version of meta.k8s.io (`v1` or `v1beta1`)
    case table(version: String)
    /// `as=PartialObjectMetadata` or `PartialObjectMetadataList` of that version
    case metadata(version: String)
    /// `as=APIGroupDiscoveryList` of that version (`v2` or `v2beta1`)
    case discovery(version: String)

    /// Picks the first acceptable form, in the order of `q` and then of the header; nil when there is none.
    /// - Parameter discovery: whether the resource is a discovery document (and not an object or list).
    static func negotiate(_ accept: String?, discovery: Bool = false) -> Representation? {
        guard let accept, !accept.isEmpty else { return .json }
        return choice(accept, discovery: discovery)?.form
    }

    /// Whether the form that is picked is to be written in YAML.
    static func wantsYAML(_ accept: String?) -> Bool {
        guard let accept, accept.contains("yaml") else { return false }
        // Whatever else the range asks for is for discovery or not: here only its media type counts.
        let choice = choice(accept, discovery: false) ?? choice(accept, discovery: true)
        return choice?.range.type == MediaRange.yaml
    }

    private static func choice(_ accept: String, discovery: Bool) -> (form: Representation, range: MediaRange)? {
        let ranges = accept.split(separator: ",").prefix(32).compactMap { MediaRange(String($0)) }
        let ordered = ranges.enumerated().sorted {
            ($1.element.quality, $0.offset) < ($0.element.quality, $1.offset)
        }
        for (_, range) in ordered where range.quality > 0 {
            if let match = match(range, discovery: discovery) { return (match, range) }
        }
        return nil
    }

    private static func match(_ range: MediaRange, discovery: Bool) -> Representation? {
        guard ["application/json", MediaRange.yaml, "application/*", "*/*"].contains(range.type) else { return nil }
        let version = range.parameters["v"] ?? ""
        switch (range.parameters["as"], range.parameters["g"]) {
        case (nil, _): return .json
        case (let form?, "meta.k8s.io") where ["v1", "v1beta1"].contains(version) && !discovery:
            if form == "Table" { return .table(version: version) }
            let isMetadata = ["PartialObjectMetadata", "PartialObjectMetadataList"].contains(form)
            return isMetadata ? .metadata(version: version) : nil
        case ("APIGroupDiscoveryList", "apidiscovery.k8s.io") where discovery:
            return ["v2", "v2beta1"].contains(version) ? .discovery(version: version) : nil
        default: return nil
        }
    }
}

/// One entry of an `Accept` header, or a `Content-Type`.
struct MediaRange: Sendable, Hashable {
    static let yaml = "application/yaml"

    /// `application/json`, in lower case.
    var type: String
    /// Parameters by lower-case name.
    var parameters: [String: String]
    /// `q` in thousandths.
    var quality = 1000

    /// Reads `type/subtype;name=value;...`; nil when there is no type.
    init?(_ text: String) {
        var parts = text.split(separator: ";").map { Self.trim($0) }[...]
        guard let type = parts.popFirst(), !type.isEmpty else { return nil }
        self.type = type.lowercased()
        parameters = [:]
        for part in parts {
            let pair = part.split(separator: "=", maxSplits: 1).map { Self.trim($0) }
            guard pair.count == 2 else { continue }
            let name = pair[0].lowercased()
            if name == "q" {
                quality = Self.thousandths(pair[1])
            } else {
                parameters[name] = pair[1]
            }
        }
    }

    private static func trim(_ text: Substring) -> String {
        let bytes = Array(text.utf8)
        let blank: (UInt8) -> Bool = { [0x20, 0x09, UInt8(ascii: "\"")].contains($0) }
        guard let start = bytes.firstIndex(where: { !blank($0) }), let end = bytes.lastIndex(where: { !blank($0) })
        else { return "" }
        return String(decoding: bytes[start...end], as: UTF8.self)
    }

    private static func thousandths(_ text: String) -> Int {
        guard let value = Double(text), value >= 0, value <= 1 else { return 1000 }
        return Int(value * 1000)
    }
}
