internal import ArgumentParser

/// The value of `--initial-cluster`.
public enum InitialCluster {
    /// `NAME=URL,NAME=URL`; a name may come more than once, with a further URL.
    /// - Throws: `ValidationError`.
    public static func members(_ text: String) throws -> [(name: String, peerURLs: [String])] {
        var members: [(name: String, peerURLs: [String])] = []
        for part in text.split(separator: ",") {
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw ValidationError("--initial-cluster \(text): \(part) is not NAME=URL")
            }
            let name = String(part[..<equals])
            let url = String(part[part.index(after: equals)...])
            guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
                throw ValidationError("--initial-cluster \(text): \(url) does not begin with https:// or http://")
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
