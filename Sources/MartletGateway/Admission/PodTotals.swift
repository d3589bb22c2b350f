internal import MartletObject

/// What a pod asks for as a whole: the sum of its containers and sidecars, or what an init container asks for beside
/// the sidecars before it where that is more; and its overhead.
struct PodTotals: Sendable, Hashable {
    private(set) var values: [String: Quantity] = [:]

    /// - Parameter part: `requests` or `limits`.
    init(_ pod: JSON, _ part: String) {
        for container in pod["spec", "containers"]?.array ?? [] {
            values.merge(Self.read(container["resources", part])) { $0 + $1 }
        }
        var sidecars: [String: Quantity] = [:]
        var peak: [String: Quantity] = [:]
        for container in pod["spec", "initContainers"]?.array ?? [] {
            let asked = Self.read(container["resources", part])
            if container["restartPolicy"] == "Always" {
                sidecars.merge(asked) { $0 + $1 }
                values.merge(asked) { $0 + $1 }
                peak.merge(sidecars) { max($0, $1) }
            } else {
                peak.merge(asked.merging(sidecars) { $0 + $1 }) { max($0, $1) }
            }
        }
        values.merge(peak) { max($0, $1) }
        for (name, value) in Self.read(pod["spec", "overhead"]) where part == "requests" || values[name] != nil {
            values[name] = (values[name] ?? Quantity(milli: 0)) + value
        }
    }

    private static func read(_ resources: JSON?) -> [String: Quantity] {
        var read: [String: Quantity] = [:]
        for (name, value) in (resources ?? [:]).members {
            guard let quantity = Quantity(value) else { continue }
            read[name] = quantity
        }
        return read
    }

    /// Whether a resource is counted in bytes.
    static func isBytes(_ name: String) -> Bool { name.hasSuffix("memory") || name.hasSuffix("storage") }

    /// As the API writes quantities: bytes in powers of 1024 where that is even.
    static func json(_ values: [String: Quantity]) -> JSON {
        JSON(
            values.reduce(into: [:]) { texts, entry in
                texts[entry.key] = entry.value.text(isBinary: isBytes(entry.key))
            })
    }
}

extension Quantity {
    /// The text of a value that was worked out.
    func text(isBinary: Bool) -> String {
        let text: String
        if milli % 1000 != 0 {
            text = "\(milli)m"
        } else if isBinary, milli != 0, milli / 1000 % 1024 == 0 {
            text = "\(milli / 1000 / 1024)Ki"
        } else {
            text = "\(milli / 1000)"
        }
        return Quantity.canonical(text) ?? text
    }
}
