internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
internal import MartletPKI

/// Which certificate authority is asked for certificates of hosts.
public struct ACMESettings: Sendable, Hashable {
    /// Its directory: an https URL.
    public var directory: String
    /// Where it may write to about expiring certificates; nil for nowhere.
    public var email: String?
    /// A file (PEM) of who signs its own certificate; nil for the system's authorities.
    public var authorityFile: String?

    /// A certificate authority with that directory.
    public init(directory: String) { self.directory = directory }

    /// Whether a text can be a directory's URL.
    public static func isDirectory(_ text: String) -> Bool { ACMEURL.parts(text) != nil }
}

/// A talk with a certificate authority: its directory, nonces, and requests signed for an account (RFC 8555, 6 and 7).
actor ACMESession {
    /// How long one request may take.
    static let patience: Duration = .seconds(30)
    /// How often a request is sent again with a new nonce: servers may forget any of them.
    static let nonceTries = 10
    /// So many nonces are kept.
    static let nonces = 8

    /// An account at the authority.
    struct Account: Sendable {
        var key: SigningKey
        /// The key, PEM.
        var keyPEM: [UInt8]
        var url: String
    }

    /// `https://host:port` of the directory. Nothing is asked elsewhere.
    nonisolated let origin: String
    private let settings: ACMESettings
    private let (host, port): (String, UInt16)
    private let tls: TLSClient
    private let world: any World
    private var client: HTTPClient?
    private var known: ACMEDirectory?
    private var nonces: [String] = []

    /// - Throws: ``ClusterError`` when the settings are no good.
    init(_ settings: ACMESettings, in world: any World) throws {
        guard let parts = ACMEURL.parts(settings.directory) else {
            throw ClusterError.unusable("--acme-directory \(settings.directory) is no https URL")
        }
        (origin, host, port) = (parts.origin, parts.host, parts.port)
        self.settings = settings
        self.world = world
        let flag = "--acme-ca \(settings.authorityFile ?? "")"
        do {
            tls = try TLSClient(authoritiesPEM: try settings.authorityFile.map { try Files.read($0) })
        } catch { throw ClusterError.unusable("\(flag): \(error)") }
    }

    /// Where the authority's operations are.
    func directory() async throws -> ACMEDirectory {
        if let known { return known }
        let read = try ACMEDirectory(try await send(.get, settings.directory), origin: origin)
        known = read
        return read
    }

    /// Makes an account, or finds the one of the key (RFC 8555, 7.3).
    func account(_ keyPEM: [UInt8]) async throws -> Account {
        let key = try SigningKey(pem: keyPEM)
        var wanted: JSON = ["termsOfServiceAgreed": true]
        if let email = settings.email { wanted["contact"] = [.string("mailto:\(email)")] }
        let answer = try await post(try await directory().newAccount, wanted, key: key, account: nil)
        guard (200..<300).contains(answer.status), let url = answer.location,
            ACMEURL.parts(url)?.origin == origin
        else { throw ACMEProblem(refusal: answer) }
        return Account(key: key, keyPEM: keyPEM, url: url)
    }

    /// Sends a signed request; again, with another nonce, when the server does not know the one that it was sent with.
    func post(_ url: String, _ payload: JSON?, key: SigningKey, account: String?) async throws -> ACMEAnswer {
        var tries = 0
        while true {
            let body = try JWS.sign(payload, url: url, nonce: try await nonce(), key: key, account: account)
            let answer = try await send(.post, url, body)
            tries += 1
            guard answer.status == 400, tries < Self.nonceTries, ACMEProblem(refusal: answer).isBadNonce else {
                return answer
            }
        }
    }

    private func nonce() async throws -> String {
        if let last = nonces.popLast() { return last }
        let answer = try await send(.head, try await directory().newNonce)
        guard let fresh = nonces.popLast() else { throw ACMEProblem(refusal: answer) }
        return fresh
    }

    // MARK: HTTP

    private func send(_ method: HTTPRequest.Method, _ url: String, _ body: [UInt8] = []) async throws -> ACMEAnswer {
        var head = HTTPRequest(
            method: method, scheme: "https", authority: String(origin.dropFirst("https://".count)),
            path: ACMEURL.path(url, origin: origin))
        head.headerFields[.userAgent] = "martlet"
        if method == .post {
            head.headerFields[.contentType] = "application/jose+json"
            head.headerFields[.contentLength] = String(body.count)
        }
        let (request, address) = (head, try await connected())
        do {
            let (answer, nonce) = try await world.limited(to: Self.patience, origin) {
                let answer = try await address.send(request, body: .bytes(body))
                let bytes = method == .head ? [] : try await answer.body.collect(limit: ACMELimits.answer)
                let fields = answer.head.headerFields
                let wait = fields[.retryAfter].flatMap { Int64($0) }.map { Duration.seconds(min(max($0, 0), 1 << 32)) }
                return (
                    ACMEAnswer(
                        status: answer.head.status.code, location: fields[.location], retryAfter: wait, body: bytes),
                    fields[Self.replayNonce]
                )
            }
            if let nonce, nonce.utf8.count <= 512, ACMEChallenge.isToken(nonce), nonces.count < Self.nonces {
                nonces.append(nonce)
            }
            return answer
        } catch {
            // Its address may be another one by now.
            client = nil
            throw error
        }
    }

    private static let replayNonce = HTTPField.Name("Replay-Nonce") ?? .eTag

    /// A client of the first of its addresses that takes a connection.
    private func connected() async throws -> HTTPClient {
        if let client { return client }
        var failure: any Error = NetworkError.badAddress(host)
        for address in try await Self.addresses(of: host, in: world) {
            do {
                let endpoint = Endpoint.ip(address, port: port)
                try await world.limited(to: Self.patience, host) { [world] in
                    try await world.connect(to: endpoint).close()
                }
                // None is kept: one that the server has closed meanwhile would cost the order.
                let made = HTTPClient(endpoint: endpoint, serverName: host, in: world, tls: tls, maxIdle: 0)
                client = made
                return made
            } catch { failure = error }
        }
        throw failure
    }

    /// The addresses of a host, as this machine finds them.
    static func addresses(of host: String, in world: any World) async throws -> [String] {
        if IPAddress(host) != nil { return [host] }
        let found = try await ChildProcess.run(
            "getent", ["ahosts", "--", host], timeout: .seconds(20), in: world)
        var addresses: [String] = []
        for line in String(decoding: found.output, as: UTF8.self).split(separator: "\n") {
            let address = String(line.prefix { $0 != " " && $0 != "\t" })
            if IPAddress(address) != nil, !addresses.contains(address) { addresses.append(address) }
        }
        if addresses.isEmpty { throw NetworkError.protocolViolation("\(host) has no address that this machine finds") }
        return addresses
    }
}
