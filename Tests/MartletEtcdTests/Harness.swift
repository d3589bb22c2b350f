import Logging
import MartletBase
import MartletEtcdMessages
import MartletHTTP
import MartletIO
import MartletReplica
import MartletStore
import SwiftProtobuf
import Synchronization
import Testing

@testable import MartletEtcd

/// A client of one member, speaking with the generated messages: what it sends and reads was not made by the code
/// under test.
struct Etcd: Sendable {
    let channel: GRPCChannel
    let server: EtcdServer
    let replica: Replica
    let world: Reactor
    var token: String?

    /// One call. Paths are `Service/Method`, of the main package where none is named.
    func call<Answer: Message>(
        _ path: String, _ request: some Message, _ type: Answer.Type = Answer.self
    ) async throws -> Answer {
        let full = path.contains("pb.") ? "/\(path)" : "/etcdserverpb.\(path)"
        let bytes = try await channel.unary(
            full, try request.serializedBytes(), metadata: metadata, timeout: .seconds(20))
        return try Answer(serializedBytes: bytes)
    }

    /// A call whose answer is a header.
    @discardableResult
    func run(_ path: String, _ request: some Message = EtcdHeaderOnlyResponse()) async throws -> EtcdResponseHeader {
        try await call(path, request, EtcdHeaderOnlyResponse.self).header
    }

    /// A stream of messages.
    func stream(_ path: String) throws -> GRPCClientStream {
        try channel.stream(path.contains("pb.") ? "/\(path)" : "/etcdserverpb.\(path)", metadata: metadata)
    }

    private var metadata: GRPCMetadata { token.map { ["token": $0] } ?? [:] }

    // MARK: Short forms

    @discardableResult
    func put(_ key: String, _ value: String, lease: Int64 = 0) async throws -> EtcdPutResponse {
        try await call(
            "KV/Put",
            EtcdPutRequest.with {
                $0.key = bytes(key)
                $0.value = bytes(value)
                $0.lease = lease
                $0.prevKv = true
            })
    }

    func get(
        _ key: String, to end: String? = nil, _ change: (inout EtcdRangeRequest) -> Void = { _ in }
    ) async throws -> EtcdRangeResponse {
        var request = EtcdRangeRequest.with {
            $0.key = bytes(key)
            if let end { $0.rangeEnd = bytes(end) }
        }
        change(&request)
        return try await call("KV/Range", request)
    }

    @discardableResult
    func delete(_ key: String, to end: String? = nil) async throws -> EtcdDeleteRangeResponse {
        try await call(
            "KV/DeleteRange",
            EtcdDeleteRangeRequest.with {
                $0.key = bytes(key)
                if let end { $0.rangeEnd = bytes(end) }
                $0.prevKv = true
            })
    }

    func login(_ name: String, _ password: String) async throws -> Etcd {
        var copy = self
        let answer = try await call(
            "Auth/Authenticate",
            EtcdAuthenticateRequest.with {
                $0.name = name
                $0.password = password
            }, EtcdAuthenticateResponse.self)
        copy.token = answer.token
        return copy
    }
}

func bytes<Bytes: RangeReplaceableCollection>(_ text: String) -> Bytes where Bytes.Element == UInt8 {
    Bytes(text.utf8)
}

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// Runs a story against a member that is a group of one in memory, over a UNIX socket.
func withEtcd(
    limits: EtcdLimits = EtcdLimits(), _ story: @escaping @Sendable (Etcd) async throws -> Void
) async throws {
    let world = try Reactor(name: "etcd-test")
    let outcome = Mutex<(any Error)?>(nil)
    await world.spawn {
        do {
            let logger = Logger(label: "etcd-test") { _ in SwiftLogNoOpLogHandler() }
            let replica = try await Replica.open(ReplicaConfiguration(directory: ""), in: world, logger: logger)
            let server = try await EtcdServer.start(
                replica, on: [.ip("127.0.0.1", port: 0)], limits: limits, logger: logger, in: world)
            let channel = GRPCChannel(endpoint: server.endpoints[0], authority: "localhost", in: world)
            let client = Etcd(channel: channel, server: server, replica: replica, world: world)
            do { try await story(client) } catch { outcome.withLock { $0 = error } }
            channel.close()
            await server.shutdown(grace: .zero)
            await replica.close()
        } catch {
            outcome.withLock { $0 = error }
        }
    }.value
    world.shutdown()
    if let error = outcome.withLock({ $0 }) { throw error }
}

/// The words with which a call is refused.
func refusal(_ call: () async throws -> Void) async -> GRPCStatus? {
    do {
        try await call()
        return nil
    } catch {
        return error as? GRPCStatus
    }
}

/// A stream of watches.
struct Watching {
    let stream: GRPCClientStream

    init(_ etcd: Etcd) throws { stream = try etcd.stream("Watch/Watch") }

    func create(
        _ key: String, to end: String? = nil, _ change: (inout EtcdWatchCreateRequest) -> Void = { _ in }
    ) async throws {
        try await send {
            $0.createRequest.key = bytes(key)
            if let end { $0.createRequest.rangeEnd = bytes(end) }
            change(&$0.createRequest)
        }
    }

    func send(_ change: (inout EtcdWatchRequest) -> Void) async throws {
        try await stream.send(EtcdWatchRequest.with(change).serializedBytes())
    }

    func next() async throws -> EtcdWatchResponse {
        guard let bytes = try await stream.next() else { throw GRPCStatus(code: 0, message: "the stream is over") }
        return try EtcdWatchResponse(serializedBytes: bytes)
    }

    /// The next events, as `PUT key=value` and `DELETE key`, until there are `count`.
    func events(_ count: Int) async throws -> [String] {
        var found: [String] = []
        while found.count < count {
            for event in try await next().events {
                found.append(
                    event.type == .put
                        ? "PUT \(text(event.kv.key))=\(text(event.kv.value))" : "DELETE \(text(event.kv.key))")
            }
        }
        return found
    }
}
