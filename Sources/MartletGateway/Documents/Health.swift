internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP

/// `/healthz`, `/livez` and `/readyz`, and each check below them.
extension Gateway {
    /// The checks of each, with upstream's names: `ping` says that requests are answered, `etcd` that the replica takes
    /// writes, `informer-sync` that the definitions of custom resources have been read.
    static let checks: [String: [String]] = [
        "healthz": ["ping", "etcd"], "livez": ["ping", "etcd"], "readyz": ["ping", "etcd", "informer-sync"],
    ]

    /// The reason of a failure is for the log: anybody may ask.
    func health(_ check: String?, _ call: Call) async throws(APIError) -> Response {
        let name = call.path.split(separator: "/").first.map(String.init) ?? "healthz"
        let known = Self.checks[name] ?? []
        if let check, !known.contains(check) { throw .noSuchResource }
        let excluded = check == nil ? Set(call.query.all("exclude")) : []
        let asked = (check.map { [$0] } ?? known).filter { !excluded.contains($0) }
        let failed = await failures(of: asked)
        // As upstream: a check that is asked for alone is not counted.
        if check == nil { checked.count(asked, failed: failed, of: name) }
        if let check {
            return Self.health(
                failed.isEmpty ? "ok" : "internal server error: \(check) failed\n", isWell: failed.isEmpty)
        }
        guard call.query["verbose"] != nil || !failed.isEmpty else { return Self.health("ok", isWell: true) }
        var lines = known.map { check in
            if excluded.contains(check) { return "[+]\(check) excluded: ok" }
            return failed.contains(check) ? "[-]\(check) failed: reason withheld" : "[+]\(check) ok"
        }
        let strangers = excluded.subtracting(known).sorted().map { "\"\($0)\"" }
        if !strangers.isEmpty {
            let list = strangers.joined(separator: ", ")
            lines.append("warn: some health checks cannot be excluded: no matches for \(list)")
        }
        lines.append("\(name) check \(failed.isEmpty ? "passed" : "failed")")
        return Self.health(lines.joined(separator: "\n") + "\n", isWell: failed.isEmpty)
    }

    /// The answer comes when the replica does its work; a stuck one makes the probe run into its time-out.
    private func failures(of checks: [String]) async -> Set<String> {
        var failed: Set<String> = []
        if checks.contains("etcd"), await registry.storage.failure() != nil { failed.insert("etcd") }
        if checks.contains("informer-sync"), await !customKinds.isReady { failed.insert("informer-sync") }
        return failed
    }

    private static func health(_ text: String, isWell: Bool) -> Response {
        Response(
            status: isWell ? .ok : .internalServerError, contentType: "text/plain; charset=utf-8",
            bytes: Array(text.utf8))
    }
}
