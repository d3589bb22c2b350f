extension BasicAuthentication {
    /// Whether a password is checked against a hash in about a second and 64 MiB at most. A hash says itself how much
    /// work it is, up to days, and crypt(3) cannot be stopped: one Secret must not take the turn of all others.
    static func isBearable(_ hash: String) -> Bool {
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count > 2, parts[0].isEmpty else {
            // Of those without `$` only BSDi's says how often it turns.
            return !hash.hasPrefix("_")
        }
        switch parts[1] {
        case "1", "3", "apr1": return true
        case "2", "2a", "2b", "2x", "2y": return Int(parts[2]).map { $0 <= 14 } ?? false
        case "5", "6":
            guard parts[2].hasPrefix("rounds=") else { return true }
            return Int(parts[2].dropFirst("rounds=".count)).map { $0 <= 1_000_000 } ?? false
        case "y", "gy":
            // The usual flavour, then the logarithm of the number of blocks, and their size, less one each.
            let numbers = parts[2].dropFirst().utf8.compactMap { digits.firstIndex(of: $0) }
            return parts[2].hasPrefix("j") && parts[2].utf8.count == 3 && numbers.count == 2 && numbers[0] <= 13
                && numbers[1] <= 31
        default: return false
        }
    }

    /// Those of crypt(3).
    private static let digits = Array("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// Takes out the names whose hashes are not bearable, and returns them in their order.
    mutating func dropUnbearable() -> [String] {
        let names = hashes.filter { !Self.isBearable($0.value) }.keys.sorted()
        for name in names { hashes[name] = nil }
        return names
    }
}
