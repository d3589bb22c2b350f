internal import ArgumentParser
internal import MartletBase

/// The value of `--initial-cluster`.
public enum InitialCluster {
    /// `NAME=URL,NAME=URL`; as with etcd a name may come more than once, with a further URL. `check` looks at each URL.
    /// - Throws: `ValidationError`.
    public static func members(_ text: String, _ check: (MemberURL) throws -> Void = { _ in }) throws -> [(
        name: String, peerURLs: [String]
    )] {
        var members: [(name: String, peerURLs: [String])] = []
        var owners: [Endpoint: String] = [:]
        for part in text.split(separator: ",") {
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw ValidationError("--initial-cluster \(text): \(part) is not NAME=URL")
            }
            let name = String(part[..<equals])
            let url = String(part[part.index(after: equals)...])
            let parsed = try MemberURL(url, flag: "--initial-cluster")
            try check(parsed)
            if let other = owners.updateValue(name, forKey: parsed.endpoint) {
                let twice = other == name ? "\(name) has \(url) twice" : "\(other) and \(name) both have \(url)"
                throw ValidationError("--initial-cluster \(text): \(twice); give each member URLs of its own, once")
            }
            if let place = members.firstIndex(where: { $0.name == name }) {
                members[place].peerURLs.append(url)
            } else {
                members.append((name, [url]))
            }
        }
        guard !members.isEmpty else { throw ValidationError("--initial-cluster names nobody") }
        return members
    }
}
