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
        let folder = "/tmp/martlet-tls-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
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
        let common = [
            "s_client", "-connect", "\(listener.endpoint)", "-CAfile", "\(folder)/ca.crt", "-verify_return_error",
            "-ign_eof", "-brief",
        ]
        // `@name` stands for a file in the folder.
        let own = arguments.map { $0.hasPrefix("@") ? "\(folder)/\($0.dropFirst())" : $0 }
        let result = try await ChildProcess.run(openssl, common + own, timeout: .seconds(20), in: world)
        listener.close()
        await serving.value
        world.shutdown()
        return String(decoding: result.output + result.errors, as: UTF8.self)
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

    @Test("the subject of a certificate that another make made the request with is seen", arguments: [[], ["-tls1_2"]])
    func clientCertificate(version: [String]) async throws {
        let arguments = Self.verified + version + ["-cert", "@jane.crt", "-key", "@jane.key"]
        let seen = try await Self.client(arguments, server: try server(true))
        #expect(seen.contains(" api.test - jane of dev,ops\n"), "\(seen)")
        let without = try await Self.client(Self.verified + version, server: try server(true))
        #expect(without.contains("alert"), "\(without)")
        #expect(!without.contains("nobody"))
    }
}
