/// The figures of all runs: medians, side by side, with their ratio.
struct Report {
    /// Whom Martlet is held against.
    var rival: Rival.Kind
    private(set) var titles: [String] = []
    /// By title, then by store, then by figure: one number a run.
    private var numbers: [String: [Rival.Kind: [String: [Double]]]] = [:]
    private var names: [String: [String]] = [:]

    init(rival: Rival.Kind) { self.rival = rival }

    mutating func add(_ figures: Figures, of kind: Rival.Kind) {
        if !titles.contains(figures.title) {
            titles.append(figures.title)
            names[figures.title] = figures.values.map(\.name)
        }
        for (name, value) in figures.values {
            numbers[figures.title, default: [:]][kind, default: [:]][name, default: []].append(value)
        }
    }

    /// The median over the runs; nil where nothing was measured.
    func median(_ title: String, _ kind: Rival.Kind, _ name: String) -> Double? {
        guard let values = numbers[title]?[kind]?[name]?.sorted(), !values.isEmpty else { return nil }
        return values[values.count / 2]
    }

    /// One table for all.
    var table: String {
        var lines = [Self.line(["case", "figure", rival.rawValue, "martlet", "martlet/rival"])]
        for title in titles {
            var shown = title
            for name in names[title] ?? [] {
                let (theirs, ours) = (median(title, rival, name), median(title, .martlet, name))
                if name == "failures", (theirs ?? 0) == 0, (ours ?? 0) == 0 { continue }
                var ratio = ""
                if let theirs, let ours, theirs > 0 { ratio = Self.rounded(ours / theirs, ours < theirs / 10 ? 4 : 2) }
                lines.append(Self.line([shown, name, Self.shown(theirs), Self.shown(ours), ratio]))
                shown = ""
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Everything, every run's number too.
    func json(_ facts: [(String, String)]) -> String {
        let head = facts.map { "  \(Self.quoted($0.0)): \(Self.quoted($0.1))" }
        let cases = titles.map { title in
            let stores = [rival, .martlet].compactMap { kind -> String? in
                guard let figures = numbers[title]?[kind] else { return nil }
                let lines = (names[title] ?? []).map { name in
                    let runs = (figures[name] ?? []).map { Self.rounded($0, 4) }.joined(separator: ", ")
                    return "\(Self.quoted(name)): [\(runs)]"
                }
                return "      \(Self.quoted(kind.rawValue)): {\(lines.joined(separator: ", "))}"
            }
            return "    \(Self.quoted(title)): {\n\(stores.joined(separator: ",\n"))\n    }"
        }
        return "{\n" + (head + ["  \"cases\": {\n\(cases.joined(separator: ",\n"))\n  }"]).joined(separator: ",\n")
            + "\n}"
    }

    private static func line(_ cells: [String]) -> String {
        let widths = [-44, -30, 14, 14, 14]
        return zip(cells, widths).map { cell, width in
            let space = String(repeating: " ", count: max(0, abs(width) - cell.count))
            return width < 0 ? cell + space : space + cell
        }.joined()
    }

    private static func shown(_ value: Double?) -> String {
        guard let value else { return "-" }
        return rounded(value, abs(value) >= 1000 ? 0 : abs(value) >= 10 ? 1 : 3)
    }

    /// A number with so many digits behind the point.
    static func rounded(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = Int64((abs(value) * scale).rounded())
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let fraction = String(whole % Int64(scale))
        return "\(sign)\(whole / Int64(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
    }
}
