extension Duration {
    /// Reads a time as people write it: `30s`, `90m`, `24h`, `7d`; nil for anything else, and for more than a million
    /// of a unit.
    public init?(written text: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last, let unit = units[last], let count = Int64(text.dropLast()), count >= 0,
            count < 1 << 20
        else { return nil }
        self = .seconds(count * unit)
    }
}
