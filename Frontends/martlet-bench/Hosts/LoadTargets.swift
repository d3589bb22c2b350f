import ArgumentParser
import Foundation
import HTTPTypes
import MartletBase
import MartletClient
import MartletHTTP
import MartletObject
import Synchronization

/// What a load asks.
protocol LoadTarget: Sendable {
    var name: String { get }
    /// Asks once; `number` counts from 0.
    /// - Throws: what was wrong.
    func ask(_ number: Int) async throws
}

/// Why an answer is none.
struct LoadError: Error, CustomStringConvertible {
    var description: String
}

/// `NAME=REST` of a flag.
private func halves(_ text: String, flag: String) throws -> (name: String, rest: String) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { throw ValidationError("\(flag) \(text) is not NAME=PLACE") }
    return (parts[0], parts[1])
}

private func endpoint(_ text: String, flag: String) throws -> Endpoint {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
        throw ValidationError("\(flag): \(text) is not ADDRESS:PORT")
    }
    return .ip(text[..<colon].filter { !"[]".contains($0) }, port: port)
}

/// One master, or several of which any will do: an object is read and written in turn.
struct APITarget: LoadTarget {
    let name: String
    private let transport: MastersTransport
    private let credentials: LoadCredentials
    private let path = "/api/v1/namespaces/default/configmaps"

    private let onlyWrites: Bool

    init(_ text: String, _ credentials: LoadCredentials?, onlyWrites: Bool, in world: any World) throws {
        guard let credentials else { throw ValidationError("--api wants --kubeconfig") }
        let (name, rest) = try halves(text, flag: "--api")
        self.name = name
        self.credentials = credentials
        self.onlyWrites = onlyWrites
        let masters = try rest.split(separator: ",").map { try endpoint(String($0), flag: "--api") }
        transport = MastersTransport(masters, in: world, tls: credentials.tls)
        if masters.count > 1 { transport.start() }
    }

    func ask(_ number: Int) async throws {
        credentials.refresh()
        let object = "\(path)/load-\(name)"
        let body: JSON = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string("load-\(name)")],
            "data": ["number": .string("\(number)")],
        ]
        if number == 0 { return try await send(.post, path, body, accepts: [201, 409]) }
        if number.isMultiple(of: 2), !onlyWrites { return try await send(.get, object, nil, accepts: [200]) }
        try await send(.put, object, body, accepts: [200])
    }

    private func send(_ method: HTTPRequest.Method, _ path: String, _ body: JSON?, accepts: [Int]) async throws {
        var request = HTTPRequest(method: method, scheme: nil, authority: nil, path: path)
        request.headerFields[.accept] = "application/json"
        if body != nil { request.headerFields[.contentType] = "application/json" }
        let answer = try await transport.send(request, body: body?.encoded() ?? [])
        let bytes = try await answer.body.collect(limit: 1 << 20)
        guard accepts.contains(answer.head.status.code) else {
            throw LoadError(description: "\(answer.head.status.code) \(String(decoding: bytes, as: UTF8.self))")
        }
    }
}

/// A service by HTTP, with a new connection for each request.
struct ServiceTarget: LoadTarget {
    let name: String
    private let endpoint: Endpoint
    private let host: String
    private let world: any World

    init(_ text: String, in world: any World) throws {
        let (name, rest) = try halves(text, flag: "--url")
        guard let url = URL(string: rest), url.scheme == "http", let host = url.host() else {
            throw ValidationError("--url \(rest) is not http://ADDRESS[:PORT]/")
        }
        self.name = name
        self.host = host
        self.world = world
        endpoint = .ip(host.filter { !"[]".contains($0) }, port: UInt16(url.port ?? 80))
    }

    func ask(_ number: Int) async throws {
        let client = HTTPClient(endpoint: endpoint, serverName: host, in: world, maxIdle: 0)
        defer { client.close() }
        let answer = try await client.send(HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/"))
        _ = try await answer.body.collect(limit: 1 << 20)
        guard answer.head.status.code == 200 else { throw LoadError(description: "\(answer.head.status.code)") }
    }
}

/// The certificates of a kubeconfig, which is read again when it changes: those of a cluster are rotated.
final class LoadCredentials: Sendable {
    private let path: String
    private let text: Mutex<Data>
    /// What connections are made with.
    let tls: TLSClient

    init(_ path: String) throws {
        self.path = path
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let (authorities, identity) = try Self.read(bytes, path)
        text = Mutex(bytes)
        tls = try TLSClient(authoritiesPEM: authorities, identity: identity)
    }

    /// Makes further connections with new certificates, when there are new ones.
    func refresh() {
        guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: path)), text.withLock({ $0 != bytes }),
            let (authorities, identity) = try? Self.read(bytes, path),
            (try? tls.replace(authoritiesPEM: authorities, identity: identity)) != nil
        else { return }
        text.withLock { $0 = bytes }
    }

    private static func read(_ bytes: Data, _ path: String) throws -> (authorities: [UInt8], TLSIdentity) {
        let config = try JSON.documents(yaml: bytes).first ?? .null
        func material(_ part: JSON?, _ name: String) throws -> [UInt8] {
            guard let text = part?["\(name)-data"]?.string, let bytes = Base64.decode(text) else {
                throw ValidationError("\(path) has no \(name)-data")
            }
            return bytes
        }
        let user = config["users"]?[0]?["user"]
        return (
            try material(config["clusters"]?[0]?["cluster"], "certificate-authority"),
            try TLSIdentity(
                certificateChainPEM: material(user, "client-certificate"),
                privateKeyPEM: material(user, "client-key"))
        )
    }
}
