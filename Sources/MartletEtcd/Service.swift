internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// etcd's API over a replica: finds the method for a path. The services themselves are extensions of this, a file each.
final class EtcdService: GRPCService {
    /// The release of etcd whose behaviour this follows; clients choose features by it.
    static let version = "3.5.30"
    /// The oldest release that all members can speak.
    static let clusterVersion = "3.5.0"

    let replica: Replica
    let world: any World
    let limits: EtcdLimits
    let logger: Logger
    let hub: WatchHub
    /// Who we are: the header without revision and term.
    let identity: Header
    /// Where passwords are hashed: that takes time on purpose.
    let worker: BlockingWorker

    init(
        _ replica: Replica, identity: Header, limits: EtcdLimits, worker: BlockingWorker, logger: Logger,
        in world: any World
    ) {
        self.replica = replica
        self.identity = identity
        self.limits = limits
        self.worker = worker
        self.logger = logger
        self.world = world
        hub = WatchHub(replica, identity: identity, limits: limits, logger: logger, in: world)
    }

    func method(at path: String) -> GRPCMethod? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty else { return nil }
        let name = String(parts[2])
        return switch parts[1] {
        case "etcdserverpb.KV": keyMethod(name)
        case "etcdserverpb.Watch": name == "Watch" ? stream { try await $0.watch($1) } : nil
        case "etcdserverpb.Lease": leaseMethod(name)
        case "etcdserverpb.Cluster": clusterMethod(name)
        case "etcdserverpb.Maintenance": maintenanceMethod(name)
        case "etcdserverpb.Auth": authMethod(name)
        case "v3lockpb.Lock": lockMethod(name)
        case "v3electionpb.Election": electionMethod(name)
        default: nil
        }
    }

    // MARK: Methods

    typealias Unary = @Sendable (EtcdService, [UInt8], GRPCContext) async throws -> [UInt8]

    /// A method with one answer.
    func unary(_ body: @escaping Unary) -> GRPCMethod {
        .unary { [self] request, context in
            do {
                if context.requiresLeader { try await needLeader() }
                return try await body(self, request, context)
            } catch {
                throw Refusal.status(of: error)
            }
        }
    }

    /// A method over a generated message.
    func unary<Request: Message>(
        _ type: Request.Type,
        _ body: @escaping @Sendable (EtcdService, Request, GRPCContext) async throws -> [UInt8]
    ) -> GRPCMethod {
        unary { service, bytes, context in
            guard bytes.count <= service.limits.request else { throw Refusal.tooLarge }
            return try await body(service, try Self.decode(bytes), context)
        }
    }

    /// A method whose messages stream.
    func stream(_ body: @escaping @Sendable (EtcdService, GRPCServerCall) async throws -> Void) -> GRPCMethod {
        .stream { [self] call in
            do {
                guard call.context.requiresLeader else { return try await body(self, call) }
                try await needLeader()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await body(self, call) }
                    group.addTask { try await self.awaitLossOfLeader() }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            } catch {
                throw Refusal.status(of: error)
            }
        }
    }

    private func needLeader() async throws { if await replica.leader == nil { throw Refusal.noLeader } }

    /// Throws when no leader has been known for a while.
    private func awaitLossOfLeader() async throws {
        var missed = 0
        while missed < limits.leaderPatience {
            try await world.sleep(for: .seconds(1))
            missed = await replica.leader == nil ? missed + 1 : 0
        }
        throw Refusal.noLeader
    }

    static func decode<Request: Message>(_ bytes: [UInt8]) throws -> Request {
        do { return try Request(serializedBytes: bytes) } catch { throw Refusal.malformed("\(error)") }
    }

    static func encode(_ message: some Message) throws -> [UInt8] { try message.serializedBytes() }

    // MARK: What all need

    /// Looks at the store, with the warrant of the call.
    func look<Value: Sendable>(
        _ context: GRPCContext, _ body: @Sendable (borrowing Store, Warrant) throws -> Value
    ) async throws -> (value: Value, header: Header) {
        let credentials = context.credentials
        let now = world.wallTime().seconds
        let (value, revision, term) = try await replica.look { store in
            try body(store, try Warrant(credentials, store.auth, now: now))
        }
        return (value, Header(cluster: identity.cluster, member: identity.member, revision: revision, term: term))
    }

    /// Proposes a command if `check` allows it; judges anew when users or roles change under it.
    func propose(
        _ kind: Command.Kind, _ context: GRPCContext, _ check: @Sendable (borrowing Store, Warrant) throws -> Void
    ) async throws -> (result: CommandResult, header: Header) {
        var attempt = 1
        while true {
            do {
                let (result, revision, term) = try await replica.propose(kind) { store in
                    let warrant = try Warrant(
                        context.credentials, store.auth, now: self.world.wallTime().seconds)
                    try check(store, warrant)
                    return warrant.revision
                }
                let header = Header(
                    cluster: identity.cluster, member: identity.member, revision: revision, term: term)
                return (result, header)
            } catch CommandRefusal.authRevisionChanged where attempt < limits.authAttempts {
                attempt += 1
            }
        }
    }

    /// A change of keys.
    func propose(_ transaction: Transaction, _ context: GRPCContext) async throws -> (TransactionResult, Header) {
        let (result, header) = try await propose(.transaction(transaction), context) { store, warrant in
            try warrant.need(transaction) { Array(store.leases[$0]?.keys ?? []) }
        }
        guard case .transaction(let answer) = result else { throw Refusal.other("etcdserver: no transaction") }
        return (answer, header.at(answer.revision))
    }

    /// A header as of now.
    func header() async -> Header {
        let (_, revision, term) = await replica.look { _ in }
        return Header(cluster: identity.cluster, member: identity.member, revision: revision, term: term)
    }
}

extension GRPCContext {
    /// What the call shows of who makes it.
    var credentials: Credentials {
        let token = metadata.isEmpty ? nil : metadata["token"] ?? metadata["authorization"]
        return Credentials(token: token, commonName: peer.certificate?.commonName)
    }

    /// Whether the client would rather fail than be served by a member without a leader.
    var requiresLeader: Bool { !metadata.isEmpty && metadata["hasleader"] == "true" }
}
