internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletReplica

/// What etcd serves beside gRPC, over HTTP/1.1 on the same port: whether it is well, its version, its figures.
struct EtcdWeb: RequestHandler {
    let service: EtcdService

    func handle(_ request: Request) async -> Response {
        let path = request.head.path?.split(separator: "?", maxSplits: 1).first.map(String.init) ?? "/"
        guard request.head.method == .get || request.head.method == .head else {
            return Self.json(.methodNotAllowed, "{\"error\":\"only GET is served here\"}")
        }
        switch path {
        case "/health", "/readyz": return await health(readsWithQuorum: true)
        case "/livez": return await health(readsWithQuorum: false)
        case "/version":
            return Self.json(
                .ok, "{\"etcdserver\":\"\(EtcdService.version)\",\"etcdcluster\":\"\(EtcdService.clusterVersion)\"}")
        case "/metrics": return await metrics()
        default: return Self.json(.notFound, "{\"error\":\"there is no \(Self.printable(path)) here\"}")
        }
    }

    private func health(readsWithQuorum: Bool) async -> Response {
        do {
            if readsWithQuorum { try await service.replica.confirmRead() }
            if await service.replica.failure == nil {
                return Self.json(.ok, "{\"health\":\"true\",\"reason\":\"\"}")
            }
            return Self.json(.serviceUnavailable, "{\"health\":\"false\",\"reason\":\"RAFT LOG FAILED\"}")
        } catch {
            return Self.json(.serviceUnavailable, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}")
        }
    }

    private func metrics() async -> Response {
        var text = PrometheusText()
        await service.replica.status.write(to: &text)
        text.metric("etcd_debugging_mvcc_keys_total", "gauge", "Keys.", "\(await service.replica.count)")
        text.metric("etcd_debugging_mvcc_watcher_total", "gauge", "Watches.", "\(await service.hub.count)")
        return Response(status: .ok, contentType: "text/plain; version=0.0.4", bytes: Array(text.text.utf8))
    }

    private static func json(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(status: status, contentType: "application/json", bytes: Array((text + "\n").utf8))
    }

    /// A path as it may stand inside of a JSON text.
    private static func printable(_ path: String) -> String {
        String(path.prefix(100).filter { $0.isASCII && ($0.isLetter || $0.isNumber || "/-_.".contains($0)) })
    }
}
