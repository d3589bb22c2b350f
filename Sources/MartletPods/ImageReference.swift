/// Names of container images: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]` (the distribution specification's grammar).
public enum ImageReference {
    /// Whether the tag is `latest`, or there is neither a tag nor a digest: such an image is pulled at each start.
    public static func isLatest(_ reference: String) -> Bool {
        if reference.utf8.contains(UInt8(ascii: "@")) { return false }
        let last = reference.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return true }
        return last[last.index(after: colon)...] == "latest"
    }

    /// Whether the text is an image's name at all.
    public static func isValid(_ reference: String) -> Bool {
        guard !reference.isEmpty, reference.utf8.count <= 512 else { return false }
        let halves = reference.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        if halves.count == 2, !isDigest(halves[1]) { return false }
        var components = halves[0].split(separator: "/", omittingEmptySubsequences: false)
        if let last = components.last, let colon = last.lastIndex(of: ":") {
            guard isTag(last[last.index(after: colon)...]) else { return false }
            components[components.count - 1] = last[..<colon]
        }
        if components.count > 1, isHost(components[0]) { components.removeFirst() }
        return !components.isEmpty && components.allSatisfy(isPathComponent)
    }

    private static func isDigest(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts[1].utf8.count >= 32
            && parts[1].allSatisfy { $0.isHexDigit }
    }

    private static func isTag(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 128 else { return false }
        return (isAlphanumeric(first) || first == UInt8(ascii: "_"))
            && text.utf8.allSatisfy { isAlphanumeric($0) || "_.-".utf8.contains($0) }
    }

    /// The first component is a host when it has a dot or a port, or is `localhost`.
    private static func isHost(_ text: Substring) -> Bool {
        guard text == "localhost" || text.contains(".") || text.contains(":") else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || ".-:[]".utf8.contains($0) }
    }

    private static func isPathComponent(_ text: Substring) -> Bool {
        let isPlain: (UInt8) -> Bool = { isAlphanumeric($0) && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        guard let first = text.utf8.first, let last = text.utf8.last, isPlain(first), isPlain(last) else {
            return false
        }
        return text.utf8.allSatisfy { isPlain($0) || "._-".utf8.contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
