import MartletBase
import MartletSimulation

/// What clients did to a few keys, and what came of it.
final class TortureHistory {
    typealias Call = ConcurrentCall<RegisterModel>

    private var calls: [String: [Call]] = [:]
    private(set) var answered = 0
    private(set) var unknown = 0
    /// When the youngest of the answered writes began.
    private(set) var lastWriteBegun = MonotonicTime(nanoseconds: 0)

    /// Notes a call. A read of unknown outcome says nothing and is left out.
    func note(_ key: String, _ call: Call) {
        if call.end == nil {
            unknown += 1
            if case .get = call.input { return }
        } else {
            answered += 1
            if case .get = call.input {
            } else {
                lastWriteBegun = max(lastWriteBegun, MonotonicTime(nanoseconds: call.start))
            }
        }
        calls[key, default: []].append(call)
    }

    var keys: [String] { calls.keys.sorted() }

    /// The keys whose history no single store explains, or that took too long to judge.
    func judge() -> (violated: [String], unjudged: [String]) {
        var violated: [String] = []
        var unjudged: [String] = []
        for key in keys {
            switch LinearizabilityChecker(calls[key] ?? []).check(limit: 20_000_000) {
            case .linearizable: break
            case .violated: violated.append(key)
            case .unknown: unjudged.append(key)
            }
        }
        return (violated, unjudged)
    }

    /// A key's calls for people, in the order of their beginnings.
    func story(of key: String) -> String {
        (calls[key] ?? []).sorted { $0.start < $1.start }.map { call in
            let end = call.end.map { "\($0 / 1000)" } ?? "?"
            return "\(call.start / 1000)..\(end) us  \(call.input)  \(call.output.map { "\($0)" } ?? "unknown")"
        }.joined(separator: "\n")
    }
}
