public import Logging
public import MartletBase
public import MartletHTTP
internal import MartletIO
public import MartletReplica

/// etcd's v3 API over a replica, for etcd's own clients.
public final class EtcdServer: Sendable {
    /// The release of etcd whose API this is.
    public static var apiVersion: String { EtcdService.version }

    private let servers: [GRPCServer]
    private let service: EtcdService

    /// Where clients reach it; ports that were 0 are the ones taken.
    public var endpoints: [Endpoint] { servers.map(\.endpoint) }

    private init(_ servers: [GRPCServer], _ service: EtcdService) {
        self.servers = servers
        self.service = service
    }

    /// Serves `replica` on all `endpoints`: over TLS, or in the clear where `tls` is nil. With client certificates the
    /// common name is the user, once users and roles rule.
    /// - Throws: ``NetworkError`` when an endpoint cannot be listened on; `Errno` without a thread.
    public static func start(
        _ replica: Replica, on endpoints: [Endpoint], tls: TLSServer? = nil, limits: EtcdLimits = EtcdLimits(),
        logger: Logger, in world: any World
    ) async throws -> EtcdServer {
        let service = try await EtcdService.over(replica, limits: limits, logger: logger, in: world)
        var servers: [GRPCServer] = []
        do {
            for endpoint in endpoints {
                servers.append(
                    try await GRPCServer.start(
                        on: endpoint, in: world, tls: tls, limits: GRPCServerLimits(), logger: logger,
                        service: service, web: EtcdWeb(service: service)))
            }
        } catch {
            for server in servers { await server.shutdown(grace: .zero) }
            throw error
        }
        return EtcdServer(servers, service)
    }

    /// Takes no more calls; those that run may go on for `grace`.
    public func shutdown(grace: Duration) async {
        for server in servers { await server.shutdown(grace: grace) }
        service.worker.stop()
    }
}

extension EtcdService {
    /// A service over a replica.
    static func over(
        _ replica: Replica, limits: EtcdLimits = EtcdLimits(), logger: Logger, in world: any World
    ) async throws -> EtcdService {
        let (cluster, member) = await replica.identifiers
        return EtcdService(
            replica, identity: Header(cluster: cluster, member: member, revision: 0, term: 0), limits: limits,
            worker: try BlockingWorker(name: "etcd-passwords"), logger: logger, in: world)
    }
}
