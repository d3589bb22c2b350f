import Glibc
import HTTPTypes
import Logging
import MartletBase
import MartletClient
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import MartletPKI
import Synchronization
import Testing

/// A handler made of a closure.
struct Handler: RequestHandler {
    var answer: @Sendable (Request) async -> Response
    init(_ answer: @escaping @Sendable (Request) async -> Response) { self.answer = answer }
    func handle(_ request: Request) async -> Response { await answer(request) }
}

func text(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(status: status, contentType: "text/plain", bytes: Array(text.utf8))
}

/// Ten pieces of a thousand letters; then it ends, or breaks off.
func pieces(breaks: Bool) -> Response {
    Response(
        head: HTTPResponse(status: .ok),
        body: .stream { writer in
            for _ in 0..<10 { try await writer.write([UInt8](repeating: 65, count: 1000)) }
            if breaks { throw NetworkError.closed }
        })
}

/// Something that a test waits for.
final class Signal: Sendable {
    private let state = Mutex((isSet: false, waiting: [CheckedContinuation<Void, Never>]()))
    func set() {
        let waiting = state.withLock { state in
            state.isSet = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
    func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLock { state in
                if !state.isSet { state.waiting.append(continuation) }
                return state.isSet
            }
            if isSet { continuation.resume() }
        }
    }
}

/// What a client got, read whole.
struct Answer {
    var head: HTTPResponse
    var body: String
    var code: Int { head.status.code }
}

/// An edge and an ingress on the loopback of this machine, with an API in the test's hands.
final class TestNet: Sendable {
    static let authority = Result {
        try Authority.make(commonName: "test", lifetime: .seconds(3600), now: Reactor().wallTime())
    }
    static let fallbackName = "fallback.test"
    private static let count = Atomic<Int>(0)

    /// Each test has a loopback address of its own: a port that it has given up is nobody else's meanwhile.
    let address: String
    let world: Reactor
    let api = TestAPI()
    let edge: Edge
    let ingress: Ingress
    let tls: TLSClient
    private let backends = Mutex<[HTTPServer]>([])

    /// Runs a test on a world of its own, with all that was started stopped at its end.
    static func run(
        trustsEdge: Bool = true, log path: String? = nil, balancers: [IPRange] = [], secrets: SecretReading = .all,
        goesToPods: Bool = false, prepare: (TestAPI) throws -> Void = { _ in },
        _ body: (TestNet) async throws -> Void
    ) async throws {
        let world = try Reactor()
        try await withTaskExecutorPreference(world.executor) {
            let log = try path.map { try AccessLog(path: $0, in: world, logger: Logger(label: "access")) }
            let net = try await TestNet(
                world, trustsEdge: trustsEdge, log, balancers, secrets, goesToPods: goesToPods, prepare)
            do { try await body(net) } catch {
                await net.stop()
                throw error
            }
            await net.stop()
            await log?.close()
        }
        world.shutdown()
    }

    private init(
        _ world: Reactor, trustsEdge: Bool, _ log: AccessLog?, _ balancers: [IPRange],
        _ secrets: SecretReading, goesToPods: Bool, _ prepare: (TestAPI) throws -> Void
    ) async throws {
        self.world = world
        let number = Self.count.add(1, ordering: .relaxed).newValue
        address = "127.1.\(number / 250).\(number % 250 + 1)"
        tls = try TLSClient(authoritiesPEM: try Self.authority.get().keyPair.certificatePEM)
        let api = self.api
        api.put(.node, Objects.node(address))
        api.put(.ingressClass, Objects.ingressClass)
        try prepare(api)
        let client = Client(transport: InProcessTransport(in: world) { await api.handle($0) }, in: world)
        var logger = Logger(label: "test")
        logger.logLevel = .error
        ingress = try await Ingress.start(
            on: .ip(address, port: 0), nodeName: "n1", ownAddresses: trustsEdge ? ["127.0.0.1"] : [],
            balancers: balancers, log: log, client: client, node: client, secrets: secrets, in: world, logger: logger)
        let pair = try Self.certificate(for: Self.fallbackName)
        let fallback = try TLSIdentity(
            certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
        var settings = EdgeConfiguration(
            secure: .ip(address, port: 0), plain: .ip(address, port: 0), fallback: fallback,
            publishedAddresses: ["192.0.2.1"])
        settings.log = log
        settings.balancers = balancers
        settings.goesToPods = goesToPods
        edge = try await Edge.start(settings, client: client, secrets: secrets, in: world, logger: logger)
    }

    /// One more worker with an ingress, at another address.
    func secondIngress() async throws -> Ingress {
        let place = "127.2" + address.dropFirst("127.1".count)
        var node = Objects.node(place)
        node["metadata", "name"] = "n2"
        api.put(.node, node)
        let api = self.api
        let client = Client(transport: InProcessTransport(in: world) { await api.handle($0) }, in: world)
        return try await Ingress.start(
            on: .ip(place, port: 0), nodeName: "n2", ownAddresses: ["127.0.0.1"], client: client, node: client,
            in: world,
            logger: Logger(label: "second"))
    }

    private func stop() async {
        await edge.stop()
        await ingress.stop()
        for backend in backends.withLock({ $0 }) { await backend.shutdown(grace: .zero) }
    }

    static func certificate(for names: String...) throws -> KeyPair {
        var request = CertificateRequest(commonName: names[0])
        request.dnsNames = names
        request.isServer = true
        return try authority.get().issue(request, now: Reactor().wallTime())
    }

    // MARK: Backends

    /// Starts a pod that answers as `answer` says.
    /// - Parameter preface: whether connections to it must begin with a PROXY header; it speaks HTTP/2, too, then.
    @discardableResult
    func backend(
        preface: Bool = false, _ answer: @escaping @Sendable (Request) async -> Response
    ) async throws -> HTTPServer {
        var limits = HTTPServerLimits()
        limits.body = 1 << 30
        var balancers: (@Sendable (IPAddress) -> Bool)?
        if preface {
            limits.http2 = HTTP2Limits()
            balancers = { _ in true }
        }
        let server = try await HTTPServer.start(
            on: .ip(address, port: 0), in: world, limits: limits, preface: balancers,
            logger: Logger(label: "backend"), handler: Handler(answer))
        backends.withLock { $0.append(server) }
        return server
    }

    /// An app of one Service behind one host, and the pods that serve it.
    func serve(_ host: String, tls secret: String? = nil, _ pods: [Endpoint]) {
        let name = String(host.prefix { $0 != "." })
        api.put(.service, Objects.service(name))
        setPods(of: name, pods)
        api.put(.ingress, Objects.ingress(name, host: host, tls: secret))
    }

    /// Replaces the pods of a Service.
    func setPods(of service: String, _ pods: [Endpoint]) {
        for number in 0..<8 {
            if number < pods.count {
                api.put(.endpointSlice, Objects.slice(service, number, pods[number]))
            } else {
                api.remove(.endpointSlice, namespace: "default", name: "\(service)-\(number)")
            }
        }
    }

    // MARK: Clients

    /// A client of the edge that asks for `name`'s certificate.
    func client(_ name: String = fallbackName) -> HTTPClient {
        HTTPClient(endpoint: edge.endpoints[0], serverName: name, in: world, tls: tls)
    }

    /// A client of plain HTTP.
    func plainClient(_ endpoint: Endpoint) -> HTTPClient {
        HTTPClient(endpoint: endpoint, serverName: "", in: world)
    }

    func request(
        _ host: String, _ path: String = "/", _ method: HTTPRequest.Method = .get, _ fields: HTTPFields = [:]
    ) -> HTTPRequest {
        HTTPRequest(method: method, scheme: "https", authority: host, path: path, headerFields: fields)
    }

    func ask(
        _ host: String, _ path: String = "/", _ method: HTTPRequest.Method = .get, _ fields: HTTPFields = [:],
        body: RequestBody = .bytes([]), through client: HTTPClient? = nil
    ) async throws -> Answer {
        let answer = try await (client ?? self.client()).send(request(host, path, method, fields), body: body)
        let bytes = try await answer.body.collect(limit: 1 << 20)
        return Answer(head: answer.head, body: String(decoding: bytes, as: UTF8.self))
    }

    /// Asks until the answer is as wished: a change in the API takes its moment to arrive. Gives up after ten seconds.
    @discardableResult
    func eventually(
        _ host: String, _ path: String = "/", sourceLocation: SourceLocation = #_sourceLocation,
        _ isWished: (Answer) -> Bool
    ) async throws -> Answer {
        let end = world.now() + .seconds(10)
        while true {
            let answer = try await ask(host, path)
            if isWished(answer) { return answer }
            guard world.now() < end else {
                Issue.record("last: \(answer.code) \(answer.body)", sourceLocation: sourceLocation)
                return answer
            }
            try await world.sleep(for: .milliseconds(2))
        }
    }

    /// Waits until `holds`, for at most ten seconds.
    func until(sourceLocation: SourceLocation = #_sourceLocation, _ holds: () async throws -> Bool) async throws {
        let end = world.now() + .seconds(10)
        while try await !holds() {
            guard world.now() < end else {
                Issue.record("it never came true", sourceLocation: sourceLocation)
                return
            }
            try await world.sleep(for: .milliseconds(2))
        }
    }
}

/// Runs a test with a file for the access log, and hands it what the file says.
func logged(_ body: (TestNet, _ lines: () throws -> [JSON]) async throws -> Void) async throws {
    let path = "/tmp/martlet-access-\(getpid())-\(UInt64.random(in: 0 ... .max)).log"
    defer { unlink(path) }
    try await TestNet.run(log: path) { net in
        try await body(net) {
            try Files.read(path).split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: Array($0)) }
        }
    }
}

/// What stands in the API.
enum Objects {
    static func node(_ address: String) -> JSON {
        [
            "metadata": ["name": "n1"],
            "status": [
                "conditions": [["type": "Ready", "status": "True"]],
                "addresses": [["type": "InternalIP", "address": .string(address)]],
            ],
        ]
    }
    static let ingressClass: JSON = [
        "metadata": ["name": "martlet"], "spec": ["controller": "martlet.io/ingress"],
    ]

    static func service(_ name: String) -> JSON {
        ["metadata": ["name": .string(name), "namespace": "default"], "spec": ["ports": [["port": 80]]]]
    }

    /// One slice per pod: on this loopback each has a port of its own.
    static func slice(_ service: String, _ number: Int, _ endpoint: Endpoint) -> JSON {
        guard case .ip(let address, let port) = endpoint else { return .null }
        return [
            "metadata": [
                "name": .string("\(service)-\(number)"), "namespace": "default",
                "labels": ["kubernetes.io/service-name": .string(service)],
            ],
            "ports": [["port": .int(Int64(port))]], "endpoints": [["addresses": [.string(address)]]],
        ]
    }

    static func ingress(_ name: String, host: String, tls secret: String? = nil) -> JSON {
        let backend: JSON = ["service": ["name": .string(name), "port": ["number": 80]]]
        var spec: JSON = [
            "ingressClassName": "martlet",
            "rules": [
                [
                    "host": .string(host),
                    "http": ["paths": [["path": "/", "pathType": "Prefix", "backend": backend]]],
                ]
            ],
        ]
        if let secret { spec["tls"] = [["hosts": [.string(host)], "secretName": .string(secret)]] }
        return ["metadata": ["name": .string(name), "namespace": "default"], "spec": spec]
    }

    static func secret(_ name: String, _ pair: KeyPair) -> JSON {
        [
            "metadata": ["name": .string(name), "namespace": "default"], "type": "kubernetes.io/tls",
            "data": [
                "tls.crt": .string(Base64.encode(pair.certificatePEM)),
                "tls.key": .string(Base64.encode(pair.privateKeyPEM)),
            ],
        ]
    }
}
