internal import MartletBase
internal import MartletObject
internal import MartletPods
internal import MartletRuntime

/// The query of a request.
struct Query: Sendable {
    private var values: [String: String] = [:]
    /// Every value of `command`, in order.
    private(set) var command: [String] = []

    /// Reads `a=b&c=d`; of a name given twice the first counts, except for `command`.
    init(_ text: Substring) {
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decoded(halves[0])
            let value = halves.count > 1 ? Self.decoded(halves[1]) : ""
            if name == "command" { command.append(value) }
            if values[name] == nil { values[name] = value }
        }
    }

    /// Text with `%41` and `+` replaced (application/x-www-form-urlencoded); a stray `%` stays.
    static func decoded(_ text: Substring) -> String {
        PercentCoding.decode(text, plusIsSpace: true)
    }

    /// The options of a log request (core/v1 PodLogOptions).
    func logOptions(now: WallTime) -> Result<LogOptions, ConfigurationError> {
        var options = LogOptions()
        options.follow = flag("follow")
        options.timestamps = flag("timestamps")
        options.previous = flag("previous")
        do {
            options.tailLines = try count("tailLines", from: 0)
            options.limitBytes = try count("limitBytes", from: 1)
            if let seconds = try count("sinceSeconds", from: 1) {
                options.since = (now + .seconds(-min(seconds, 1 << 32))).nanoseconds
            }
        } catch {
            return .failure(error)
        }
        switch values["stream"] ?? "" {
        case "", "All": break
        case "Stdout": options.onlyErrors = false
        case "Stderr": options.onlyErrors = true
        case let other: return .failure(ConfigurationError("stream: \(other) is not All, Stdout or Stderr"))
        }
        if let text = values["sinceTime"], !text.isEmpty {
            guard let time = WallTime(rfc3339: text) else {
                return .failure(ConfigurationError("sinceTime: \(text) is not a time as in RFC 3339"))
            }
            options.since = time.nanoseconds
        }
        return .success(options)
    }

    /// The first value of a name.
    subscript(_ name: String) -> String? { values[name] }

    /// The streams that exec and attach ask for, in the kubelet's own names. A terminal has no error output.
    var streams: RemoteStreams {
        let tty = flag("tty")
        return RemoteStreams(
            stdin: flag("input"), stdout: flag("output"), stderr: flag("error") && !tty, tty: tty)
    }

    /// The ports of a port-forward whose protocol names them here; nil when one is none.
    var ports: [Int]? {
        let texts = (values["port"] ?? "").split(separator: ",")
        let ports = texts.compactMap { Int($0) }.filter { (1...65_535).contains($0) }
        return ports.count == texts.count ? ports : nil
    }

    private func flag(_ name: String) -> Bool { ["true", "1"].contains(values[name]) }

    private func count(_ name: String, from least: Int) throws(ConfigurationError) -> Int? {
        guard let text = values[name], !text.isEmpty else { return nil }
        guard let number = Int(text), number >= least else {
            throw ConfigurationError("\(name): \(text) must be a whole number, at least \(least)")
        }
        return number
    }
}
