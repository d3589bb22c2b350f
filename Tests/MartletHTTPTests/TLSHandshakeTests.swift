import Glibc
import MartletBase
import MartletPKI
import Testing

@testable import MartletHTTP

/// Certificates for the tests, made once.
enum TestCertificates {
    /// OpenSSL compares certificates with the real time.
    static let now = WallTime(seconds: Int64(time(nil)))
    static let authority = try? Authority.make(commonName: "test-ca", lifetime: .seconds(86_400), now: now)
    static let foreign = try? Authority.make(commonName: "foreign-ca", lifetime: .seconds(86_400), now: now)

    static func trusted() throws -> Authority { try #require(authority) }
    static func untrusted() throws -> Authority { try #require(foreign) }

    /// A server's identity for DNS names and addresses.
    static func server(
        _ names: [String] = ["api.test"], addresses: [String] = ["127.0.0.1"], by signer: Authority? = nil,
        at time: WallTime = now
    ) throws -> TLSIdentity {
        var request = CertificateRequest(commonName: names.first ?? "server")
        request.dnsNames = names
        request.addresses = addresses
        request.isServer = true
        request.lifetime = .seconds(3600)
        return try identity(try (signer ?? trusted()).issue(request, now: time))
    }

    /// A client's identity.
    static func client(
        _ name: String = "jane", groups: [String] = [], by signer: Authority? = nil, at time: WallTime = now
    ) throws -> TLSIdentity {
        var request = CertificateRequest(commonName: name)
        request.organizations = groups
        request.isClient = true
        request.lifetime = .seconds(3600)
        return try identity(try (signer ?? trusted()).issue(request, now: time))
    }

    static func identity(_ pair: KeyPair) throws -> TLSIdentity {
        try TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
    }
}

/// What both ends of a handshake came to.
struct Meeting {
    var server: Result<TLSStream, any Error>
    var client: Result<TLSStream, any Error>

    /// Lets both ends shake hands over a pipe; the client then reads once when `clientReads`, since TLS 1.3 tells it
    /// only there that its certificate was refused.
    static func of(
        _ server: TLSServer, _ client: TLSClient, name: String = "api.test", clientReads: Bool = false
    ) async -> Meeting {
        let (here, there) = TLSMemoryPipe.pair()
        async let accepted = result { try await server.accept(here) }
        let connected = await result {
            let stream = try await client.connect(there, serverName: name)
            if clientReads { _ = try await stream.read(atMost: 1) }
            return stream
        }
        return Meeting(server: await accepted, client: connected)
    }

    private static func result(_ work: () async throws -> TLSStream) async -> Result<TLSStream, any Error> {
        do { return .success(try await work()) } catch { return .failure(error) }
    }

    /// The server's reason; "" when it has none.
    var serverError: String { if case .failure(let error) = server { "\(error)" } else { "" } }
    /// The client's reason; "" when it has none.
    var clientError: String { if case .failure(let error) = client { "\(error)" } else { "" } }
}

@Suite("TLS handshakes") struct TLSHandshakeTests {
    typealias Certificates = TestCertificates

    func client(_ identity: TLSIdentity? = nil, alpn: [String] = ["http/1.1"]) throws -> TLSClient {
        try TLSClient(
            authoritiesPEM: try Certificates.trusted().keyPair.certificatePEM, identity: identity, alpn: alpn)
    }

    func demanding(_ optional: Bool = false) throws -> TLSServer {
        let authorities = try Certificates.trusted().keyPair.certificatePEM
        return try TLSServer(
            identity: try Certificates.server(),
            clients: optional ? .optional(authoritiesPEM: authorities) : .required(authoritiesPEM: authorities))
    }

    @Test("both ends agree and see each other's bytes")
    func bytesGoBothWays() async throws {
        let meeting = await Meeting.of(try TLSServer(identity: try Certificates.server()), try client())
        let (server, client) = (try meeting.server.get(), try meeting.client.get())
        #expect(server.version == "TLSv1.3")
        #expect(server.serverName == "api.test")
        #expect(server.peerCertificate == nil)
        try await client.write(Array("ping".utf8))
        #expect(try await server.read(atMost: 100) == Array("ping".utf8))
        try await server.write(Array("pong".utf8))
        #expect(try await client.read(atMost: 2) == Array("po".utf8))
        #expect(try await client.read(atMost: 100) == Array("ng".utf8))
    }

    @Test("a client certificate's CN and every O are seen")
    func subjectIsSeen() async throws {
        let jane = try Certificates.client("jane", groups: ["system:masters", "dev"])
        let meeting = await Meeting.of(try demanding(), try client(jane))
        let expected = CertificateSubject(commonName: "jane", organizations: ["system:masters", "dev"])
        #expect(try meeting.server.get().peerCertificate == expected)
    }

    @Test("a required client certificate that is not shown ends the handshake, and both ends know why")
    func noCertificate() async throws {
        let meeting = await Meeting.of(try demanding(), try client(), clientReads: true)
        #expect(meeting.serverError.hasPrefix("the client sent no certificate, and one is required here"))
        #expect(meeting.clientError.hasPrefix("the server requires a client certificate"))
    }

    @Test("an optional client certificate may be missing, but not be a stranger's")
    func optionalCertificate() async throws {
        let without = await Meeting.of(try demanding(true), try client())
        #expect(try without.server.get().peerCertificate == nil)
        let stranger = try Certificates.client("jane", by: try Certificates.untrusted())
        let with = await Meeting.of(try demanding(true), try client(stranger), clientReads: true)
        #expect(
            with.serverError
                == "the client's certificate (/CN=jane) was signed by an authority that is not trusted here")
        #expect(with.clientError.hasPrefix("the peer does not trust the authority that signed our certificate"))
    }

    @Test("where certificates are asked for only, one that cannot be verified is let in and gives no identity")
    func requestedCertificate() async throws {
        let server = try TLSServer(
            identity: try Certificates.server(),
            clients: .requested(authoritiesPEM: try Certificates.trusted().keyPair.certificatePEM))
        let strangers: [TLSIdentity] = [
            try Certificates.client("jane", groups: ["system:masters"], by: try Certificates.untrusted()),
            try Certificates.client("jane", at: Certificates.now + .seconds(-7200)),
            try Certificates.server(),  // not for clients
        ]
        for stranger in strangers {
            let meeting = await Meeting.of(server, try client(stranger))
            let stream = try meeting.server.get()
            #expect(stream.peerCertificate == nil)
            #expect(stream.peerIsUnverified)
            // The connection is as good as any.
            try await stream.write(Array("ping".utf8))
            #expect(try await meeting.client.get().read(atMost: 100) == Array("ping".utf8))
        }
        let nobody = try await Meeting.of(server, try client()).server.get()
        #expect(nobody.peerCertificate == nil)
        #expect(!nobody.peerIsUnverified)
        let good = await Meeting.of(server, try client(try Certificates.client("jane")))
        #expect(try good.server.get().peerCertificate?.commonName == "jane")
    }

    @Test("who speaks HTTP without TLS is told so in HTTP")
    func plainHTTP() async throws {
        let server = try TLSServer(identity: try Certificates.server())
        for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /api HTTP/1.1\r\nContent-Length: 0\r\n\r\n"] {
            let (here, there) = TLSMemoryPipe.pair()
            async let accepted: TLSStream? = try? server.accept(here)
            try await there.write(Array(request.utf8))
            let answer = String(decoding: try await there.read(atMost: 1000), as: UTF8.self)
            #expect(
                answer == "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
            there.close()
            #expect(await accepted == nil)
        }
    }

    @Test("an expired client certificate is refused with its date")
    func expiredClient() async throws {
        let old = try Certificates.client(at: Certificates.now + .seconds(-7200))
        let meeting = await Meeting.of(try demanding(), try client(old), clientReads: true)
        #expect(meeting.serverError.hasPrefix("the client's certificate (/CN=jane) expired on 20"))
    }

    @Test("a server's certificate is no client's certificate")
    func wrongPurpose() async throws {
        let meeting = await Meeting.of(try demanding(), try client(try Certificates.server()), clientReads: true)
        #expect(meeting.serverError.hasSuffix("is not meant to be shown by a TLS client (extended key usage)"))
    }

    @Test("a client refuses a server of another authority, an expired one and one not valid yet")
    func badServers() async throws {
        let foreign = try TLSServer(identity: try Certificates.server(by: try Certificates.untrusted()))
        let first = await Meeting.of(foreign, try client())
        #expect(first.clientError.hasSuffix("was signed by an authority that is not trusted here"))
        #expect(first.serverError.hasPrefix("the peer does not trust the authority that signed our certificate"))
        let expired = try TLSServer(identity: try Certificates.server(at: Certificates.now + .seconds(-7200)))
        #expect(await Meeting.of(expired, try client()).clientError.contains("expired on 20"))
        let early = try TLSServer(identity: try Certificates.server(at: Certificates.now + .seconds(7200)))
        #expect(await Meeting.of(early, try client()).clientError.contains("is not valid before 20"))
    }

    @Test(
        "a client takes only a certificate for the name or address that it asked for",
        arguments: [
            ("api.test", true), ("API.test", true), ("other.test", false), ("127.0.0.1", true), ("10.0.0.1", false),
            ("::1", true), ("a.wild.test", true), ("a.b.wild.test", false), ("wild.test", false),
        ])
    func hostNames(name: String, isGood: Bool) async throws {
        let identity = try Certificates.server(["api.test", "*.wild.test"], addresses: ["127.0.0.1", "::1"])
        let meeting = await Meeting.of(try TLSServer(identity: identity), try client(), name: name)
        if isGood {
            #expect(throws: Never.self) { try meeting.client.get() }
        } else {
            let names = "it is for api.test, *.wild.test, 127.0.0.1, ::1"
            #expect(meeting.clientError.hasSuffix("is not for \(name); \(names)"))
        }
    }

    @Test("the server's first protocol that the client offers is agreed, and none in common is refused")
    func protocols() async throws {
        let identity = try Certificates.server()
        let server = try TLSServer(identity: identity, alpn: ["h2", "http/1.1"])
        let both = await Meeting.of(server, try client(alpn: ["http/1.1", "h2"]))
        #expect(try both.client.get().applicationProtocol == "h2")
        #expect(try both.server.get().applicationProtocol == "h2")
        let one = await Meeting.of(server, try client(alpn: ["http/1.1"]))
        #expect(try one.server.get().applicationProtocol == "http/1.1")
        let silent = await Meeting.of(server, try client(alpn: []))
        #expect(try silent.server.get().applicationProtocol == nil)
        let foreign = await Meeting.of(server, try client(alpn: ["spdy/1"]))
        #expect(foreign.clientError.hasPrefix("no application protocol in common"))
    }

    @Test("the certificate is chosen by server name, wildcards stand for one label, and swaps meet new handshakes only")
    func serverNames() async throws {
        let fallback = try Certificates.server(["fallback"])
        let shop = try Certificates.server(["shop.test"])
        let wild = try Certificates.server(["*.apps.test"])
        let server = try TLSServer(identity: fallback)
        server.setIdentities(["shop.test": shop, "*.apps.test": wild], fallback: fallback)
        let open = try await Meeting.of(server, try client(), name: "shop.test").client.get()
        #expect(throws: Never.self) { open }
        #expect(await Meeting.of(server, try client(), name: "a.apps.test").clientError == "")
        let deep = await Meeting.of(server, try client(), name: "a.b.apps.test").clientError
        #expect(deep.contains("it is for fallback"))
        let before = await Meeting.of(server, try client(), name: "shop.test")
        server.setIdentities([:], fallback: wild)
        let after = await Meeting.of(server, try client(), name: "shop.test")
        #expect(after.clientError.contains("it is for *.apps.test"))
        let (here, there) = (try before.server.get(), try before.client.get())
        try await here.write([1, 2, 3])
        #expect(try await there.read(atMost: 10) == [1, 2, 3])
    }

    @Test("a name selects the exact identity before the wildcard's, without regard to case or a final dot")
    func identityTable() throws {
        let (exact, wild, other) = (
            try Certificates.server(), try Certificates.server(), try Certificates.server()
        )
        let table = IdentityTable(byName: ["a.b.c": exact, "*.b.c": wild], fallback: other)
        #expect(table.identity(for: "A.b.C.") === exact)
        #expect(table.identity(for: "x.b.c") === wild)
        #expect(table.identity(for: "b.c") === other)
        #expect(table.identity(for: ".b.c") === other)
        #expect(table.identity(for: "x.y.b.c") === other)
        #expect(table.identity(for: "") === other)
        #expect(table.identity(for: nil) === other)
    }

    @Test("a peer that goes away in the middle is an error, not a wait")
    func abandoned() async throws {
        let (here, there) = TLSMemoryPipe.pair()
        there.close()
        let server = try TLSServer(identity: try Certificates.server())
        await #expect(throws: TLSError("the peer closed the connection during the TLS handshake")) {
            try await server.accept(here)
        }
    }

    @Test("broken PEM texts are refused with a reason")
    func brokenIdentities() throws {
        let pair = try Certificates.trusted().keyPair
        let other = try Certificates.untrusted().keyPair
        #expect(throws: TLSError("the private key does not belong to the certificate")) {
            try TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: other.privateKeyPEM)
        }
        #expect(throws: TLSError.self) { try TLSIdentity(certificateChainPEM: [], privateKeyPEM: pair.privateKeyPEM) }
        #expect(throws: TLSError.self) { try TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: []) }
        #expect(throws: TLSError.self) { try TLSClient(authoritiesPEM: Array("no PEM".utf8)) }
        #expect(throws: TLSError.self) { try TLSClient(authoritiesPEM: []) }
    }

    @Test("new handshakes go by what was put in place, and open connections go on")
    func replaced() async throws {
        let (first, second) = (try Certificates.trusted(), try Certificates.untrusted())
        let server = try demanding()
        let client = try TLSClient(
            authoritiesPEM: first.keyPair.certificatePEM, identity: try Certificates.client("jane"))
        let before = await Meeting.of(server, client)
        let (here, there) = (try before.server.get(), try before.client.get())

        try server.replace(
            identity: try Certificates.server(by: second),
            clients: .required(authoritiesPEM: second.keyPair.certificatePEM))
        #expect(await Meeting.of(server, client).clientError.contains("not trusted here"))
        let both = first.keyPair.certificatePEM + second.keyPair.certificatePEM
        try client.replace(authoritiesPEM: both, identity: try Certificates.client("jane"))
        #expect(await Meeting.of(server, client, clientReads: true).serverError.contains("not trusted here"))
        try client.replace(authoritiesPEM: both, identity: try Certificates.client("joan", by: second))
        #expect(try await Meeting.of(server, client).server.get().peerCertificate?.commonName == "joan")

        try await there.write(Array("ping".utf8))
        #expect(try await here.read(atMost: 100) == Array("ping".utf8))
        #expect(here.peerCertificate?.commonName == "jane")
    }

    @Test("what cannot be put in place leaves what there was")
    func notReplaced() async throws {
        let server = try demanding()
        #expect(throws: TLSError.self) {
            try server.replace(identity: try Certificates.server(), clients: .required(authoritiesPEM: [1, 2, 3]))
        }
        let jane = try client(try Certificates.client("jane"))
        #expect(throws: TLSError.self) { try jane.replace(authoritiesPEM: [], identity: nil) }
        #expect(try await Meeting.of(server, jane).server.get().peerCertificate?.commonName == "jane")
    }
}
