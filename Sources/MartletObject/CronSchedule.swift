/// When a CronJob runs, as its text says: five fields (minute, hour, day of month, month, day of week), `@daily` and
/// the like, or `@every DURATION`. The grammar is that of the parser that Kubernetes uses (robfig/cron, standard).
enum CronSchedule {
    private struct Field {
        var name: String
        var range: ClosedRange<Int>
        var names: [String] = []
    }

    private static let fields = [
        Field(name: "minute", range: 0...59), Field(name: "hour", range: 0...23),
        Field(name: "day of month", range: 1...31),
        Field(
            name: "month", range: 1...12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        Field(name: "day of week", range: 0...6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]
    private static let descriptors = [
        "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
    ]

    /// What is wrong with a schedule, in the parser's words; nil when it is one.
    static func fault(_ text: String) -> String? {
        if text.isEmpty { return "empty spec string" }
        if text.hasPrefix("@") {
            if descriptors.contains(text) { return nil }
            if text.hasPrefix("@every ") {
                let duration = String(text.dropFirst("@every ".count))
                return isDuration(duration)
                    ? nil : "failed to parse duration \(text): time: invalid duration \"\(duration)\""
            }
            return "unrecognized descriptor: \(text)"
        }
        let parts = text.split { $0 == " " || $0 == "\t" }.map(String.init)
        if parts.count != fields.count {
            return "expected exactly 5 fields, found \(parts.count): [\(parts.joined(separator: " "))]"
        }
        for (part, field) in zip(parts, fields) {
            for term in part.split(separator: ",", omittingEmptySubsequences: false) {
                if let fault = fault(of: String(term), in: field) { return fault }
            }
        }
        return nil
    }

    /// `*`, `A`, `A-B`, each perhaps with `/STEP`.
    private static func fault(of term: String, in field: Field) -> String? {
        let steps = term.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if steps.count > 2 { return "too many slashes: \(term)" }
        let ends = steps[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        if ends.count > 2 { return "too many hyphens: \(term)" }
        var bounds = [field.range.lowerBound, field.range.upperBound]
        if steps[0] != "*", steps[0] != "?" {
            var values: [Int] = []
            for end in ends {
                if let place = field.names.firstIndex(of: end.lowercased()) {
                    values.append(place + field.range.lowerBound)
                } else if let number = Int(end), number >= 0, end.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
                    values.append(number)
                } else {
                    return "failed to parse int from \(end): strconv.Atoi: parsing \"\(end)\": invalid syntax"
                }
            }
            bounds = [values[0], values.last ?? values[0]]
            if values.count == 1, steps.count == 2 { bounds[1] = field.range.upperBound }
        }
        if bounds[0] < field.range.lowerBound {
            return "beginning of range (\(bounds[0])) below minimum (\(field.range.lowerBound)): \(term)"
        }
        if bounds[1] > field.range.upperBound {
            return "end of range (\(bounds[1])) above maximum (\(field.range.upperBound)): \(term)"
        }
        if bounds[0] > bounds[1] {
            return "beginning of range (\(bounds[0])) beyond end of range (\(bounds[1])): \(term)"
        }
        guard steps.count == 2 else { return nil }
        guard let step = Int(steps[1]), step >= 0 else {
            return "failed to parse int from \(steps[1]): strconv.Atoi: parsing \"\(steps[1])\": invalid syntax"
        }
        return step == 0 ? "step of range should be a positive number: \(term)" : nil
    }

    /// `1h30m`, `90s`: numbers with units.
    private static func isDuration(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.isEmpty { return false }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard digits.contains(where: \.isNumber) else { return false }
            rest = rest.dropFirst(digits.count)
            guard let unit = ["ns", "us", "ms", "s", "m", "h"].first(where: { rest.hasPrefix($0) }) else {
                return false
            }
            rest = rest.dropFirst(unit.count)
        }
        return true
    }
}
