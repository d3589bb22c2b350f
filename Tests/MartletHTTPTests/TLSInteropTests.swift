import Logging
import MartletBase
import MartletIO
import MartletPKI
import Synchronization
import Testing

@testable import MartletHTTP

/// Another make of TLS at the other end: the command line of OpenSSL, over a real loopback connection. Skipped where
/// there is no `openssl` program.
@Suite("TLS with the openssl program", .enabled(if: ChildProcess.find("openssl") != nil))
struct TLSInteropTests {
    typealias Certificates = TestCertificates

    /// A name that is not taken; short, since OpenSSL's program takes socket paths of at most 31 bytes.
    static func temporaryFolder() -> String { "/tmp/mt-\(String(UInt32.random(in: 0 ... .max), radix: 16))" }

    /// Serves one line to each client: what was agreed, and who asks.
    static func serve(_ listener: any StreamListener, _ server: TLSServer) async {
        while let stream = try? await listener.accept() {
            guard let tls = try? await server.accept(stream) else { continue }
            let who = tls.peerCertificate.map { "\($0.commonName) of \($0.organizations.joined(separator: ","))" }
            let facts = [tls.version, tls.serverName ?? "-", tls.applicationProtocol ?? "-", who ?? "nobody"]
            try? await tls.write(Array((facts.joined(separator: " ") + "\n").utf8))
            await tls.closeWrite()
        }
    }

    /// Runs `openssl s_client` against a server of ours and returns all that it prints.
    static func client(_ arguments: [String], server: TLSServer) async throws -> String {
        let world = try Reactor(name: "tls-test")
        let openssl = try #require(ChildProcess.find("openssl"))
        let folder = temporaryFolder()
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        try Files.write(try Certificates.trusted().keyPair.certificatePEM, to: "\(folder)/ca.crt")
        var request = CertificateRequest(commonName: "jane")
        request.organizations = ["dev", "ops"]
        request.isClient = true
        let pair = try Certificates.trusted().issue(request, now: Certificates.now)
        try Files.write(pair.certificatePEM, to: "\(folder)/jane.crt")
        try Files.write(pair.privateKeyPEM, to: "\(folder)/jane.key", mode: 0o600)
        let listener = try await world.listen(on: .ip("127.0.0.1", port: 0))
        let serving = world.spawn { await serve(listener, server) }
        let common =
            [
                "s_client", "-connect", "\(listener.endpoint)", "-CAfile", "\(folder)/ca.crt", "-verify_return_error",
                "-ign_eof",
            ] + (arguments.contains("-no-brief") ? [] : ["-brief"])
        // `@name` stands for a file in the folder.
        let own = arguments.filter { $0 != "-no-brief" }.map { $0.hasPrefix("@") ? "\(folder)/\($0.dropFirst())" : $0 }
        let result = try await ChildProcess.run(openssl, common + own, timeout: .seconds(20), in: world)
        listener.close()
        await serving.value
        world.shutdown()
        return String(decoding: result.output + result.errors, as: UTF8.self)
    }

    @Test("our client talks to a server of another make, shows its certificate, and checks the name")
    func ourClient() async throws {
        let world = try Reactor(name: "tls-test")
        let openssl = try #require(ChildProcess.find("openssl"))
        let folder = Self.temporaryFolder()
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let authority = try Certificates.trusted()
        try Files.write(authority.keyPair.certificatePEM, to: "\(folder)/ca.crt")
        var request = CertificateRequest(commonName: "server")
        request.dnsNames = ["api.test"]
        request.isServer = true
        let pair = try authority.issue(request, now: Certificates.now)
        try Files.write(pair.certificatePEM, to: "\(folder)/server.crt")
        try Files.write(pair.privateKeyPEM, to: "\(folder)/server.key", mode: 0o600)
        // It sends each line back reversed.
        let arguments = [
            "s_server", "-unix", "\(folder)/s", "-cert", "\(folder)/server.crt", "-key", "\(folder)/server.key",
            "-CAfile", "\(folder)/ca.crt", "-Verify", "1", "-verify_return_error", "-rev",
        ]
        let server = try ChildProcess(openssl, arguments, output: .discard, errors: .discard, in: world)
        defer { server.signal(9) }
        let client = try TLSClient(
            authoritiesPEM: authority.keyPair.certificatePEM, identity: try Certificates.client())
        let stream = try await client.connect(Self.connect(folder, world), serverName: "api.test")
        try await stream.write(Array("martlet\n".utf8))
        var answer: [UInt8] = []
        while answer.count < 8 { answer += try await stream.read(atMost: 100) }
        #expect(String(decoding: answer, as: UTF8.self) == "teltram\n")
        await stream.closeWrite()
        stream.close()
        await #expect(throws: TLSError.self) {
            try await client.connect(Self.connect(folder, world), serverName: "other.test")
        }
        server.signal(9)
        _ = await server.wait()
        world.shutdown()
    }

    @Test(
        "curl reads over TLS, and the handler sees who it is", .enabled(if: ChildProcess.find("curl") != nil))
    func curl() async throws {
        let world = try Reactor(name: "tls-test")
        let folder = Self.temporaryFolder()
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let authority = try Certificates.trusted()
        try Files.write(authority.keyPair.certificatePEM, to: "\(folder)/ca.crt")
        var request = CertificateRequest(commonName: "jane")
        request.organizations = ["dev"]
        request.isClient = true
        let pair = try authority.issue(request, now: Certificates.now)
        try Files.write(pair.certificatePEM + pair.privateKeyPEM, to: "\(folder)/jane.pem", mode: 0o600)
        let tls = try TLSServer(
            identity: try Certificates.server(),
            clients: .optional(authoritiesPEM: authority.keyPair.certificatePEM))
        let server = try await HTTPServer.start(
            on: .ip("127.0.0.1", port: 0), in: world, tls: tls, logger: Logger(label: "test"),
            handler: Handler { request in
                let who = request.peer.certificate.map { "\($0.commonName) of \($0.organizations)" } ?? "nobody"
                return text("\(who) at \(request.peer.serverName ?? "-")\n")
            })
        guard case .ip(_, let port) = server.endpoint else { throw NetworkError.closed }
        let program = try #require(ChildProcess.find("curl"))
        let common = [
            "-sS", "--cacert", "\(folder)/ca.crt", "--resolve", "api.test:\(port):127.0.0.1",
            "https://api.test:\(port)/a", "https://api.test:\(port)/b",
        ]
        let nobody = try await ChildProcess.run(program, common, timeout: .seconds(20), in: world)
        #expect(
            String(decoding: nobody.output + nobody.errors, as: UTF8.self) == "nobody at api.test\nnobody at api.test\n"
        )
        let jane = try await ChildProcess.run(
            program, ["--cert", "\(folder)/jane.pem"] + common, timeout: .seconds(20), in: world)
        let line = "jane of [\"dev\"] at api.test\n"
        #expect(String(decoding: jane.output + jane.errors, as: UTF8.self) == line + line)
        await server.shutdown(grace: .seconds(1))
        world.shutdown()
    }

    /// Connects to the program's socket as soon as it listens; 10 seconds at most.
    static func connect(_ folder: String, _ world: Reactor) async throws -> any ByteStream {
        for _ in 0..<1000 {
            if let stream = try? await world.connect(to: .unix("\(folder)/s")) { return stream }
            try await world.sleep(for: .milliseconds(10))
        }
        throw NetworkError.timedOut("openssl s_server")
    }

    func server(_ clients: Bool = false) throws -> TLSServer {
        let authorities = try Certificates.trusted().keyPair.certificatePEM
        return try TLSServer(
            identity: try Certificates.server(), clients: clients ? .required(authoritiesPEM: authorities) : .none,
            alpn: ["h2", "http/1.1"])
    }

    static let verified = ["-servername", "api.test", "-verify_hostname", "api.test"]

    @Test("a client of another make agrees on TLS 1.3 and on 1.2")
    func versions() async throws {
        let new = try await Self.client(Self.verified + ["-alpn", "h2"], server: try server())
        #expect(new.contains("TLSv1.3 api.test h2 nobody\n"), "\(new)")
        #expect(new.contains("Verification: OK"))
        let old = try await Self.client(Self.verified + ["-tls1_2"], server: try server())
        #expect(old.contains("TLSv1.2 api.test - nobody\n"), "\(old)")
    }

    @Test("a client of another make is refused TLS 1.1 and old ciphers")
    func oldVersions() async throws {
        let version = try await Self.client(["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], server: try server())
        #expect(version.contains("alert protocol version"), "\(version)")
        let cipher = try await Self.client(["-tls1_2", "-cipher", "AES128-SHA256"], server: try server())
        #expect(cipher.contains("handshake failure"), "\(cipher)")
    }

    @Test("the subject of a certificate that a client of another make shows is seen", arguments: [[], ["-tls1_2"]])
    func clientCertificate(version: [String]) async throws {
        let arguments = Self.verified + version + ["-cert", "@jane.crt", "-key", "@jane.key"]
        let seen = try await Self.client(arguments, server: try server(true))
        #expect(seen.contains(" api.test - jane of dev,ops\n"), "\(seen)")
        let without = try await Self.client(Self.verified + version, server: try server(true))
        #expect(without.contains("alert"), "\(without)")
        #expect(!without.contains("nobody"))
    }

    /// Begins a session at one server, and tries to go on with it at another one.
    static func resume(_ first: TLSServer, _ second: TLSServer, _ version: String) async throws -> String {
        let file = temporaryFolder() + ".session"
        defer { try? Files.remove(file) }
        let begun = try await client(verified + [version, "-sess_out", file], server: first)
        #expect(begun.contains(" api.test - nobody"), "\(begun)")
        // Without -brief it says whether the session was resumed.
        return try await client(verified + [version, "-sess_in", file, "-no-brief"], server: second)
    }

    @Test(
        "a session goes on at another server that has the same keys, and at no other",
        arguments: ["-tls1_2", "-tls1_3"])
    func sessions(version: String) async throws {
        func server(_ keys: UInt8...) throws -> TLSServer {
            let server = try self.server()
            server.setTicketKeys(keys.map { [UInt8](repeating: $0, count: TLSServer.ticketKeySize) })
            return server
        }
        #expect(try await Self.resume(server(1, 2), server(1, 2), version).contains("Reused, TLSv1."))
        #expect(try await Self.resume(server(1, 2), server(2, 3, 1), version).contains("Reused, TLSv1."))
        #expect(try await Self.resume(server(1, 2), server(2, 3), version).contains("New, TLSv1."))
        #expect(try await Self.resume(server(1), self.server(), version).contains("New, TLSv1."))
        // A server of its own draws its own keys.
        let own = try self.server()
        #expect(try await Self.resume(own, own, version).contains("Reused, TLSv1."))
    }
}
