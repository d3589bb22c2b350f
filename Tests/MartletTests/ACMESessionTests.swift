import MartletBase
import MartletIO
import Testing

@testable import Martlet

@Suite("Talks with certificate authorities") struct ACMESessionTests {
    @Test("names are found as this machine finds them, addresses are themselves, and what is neither says so")
    func addresses() async throws {
        let world = try Reactor(name: "acme-test")
        try await withTaskExecutorPreference(world.executor) {
            let found = try await ACMESession.addresses(of: "localhost", in: world)
            #expect(!found.isEmpty && found.allSatisfy { ["127.0.0.1", "::1"].contains($0) }, "\(found)")
            #expect(try await ACMESession.addresses(of: "192.0.2.1", in: world) == ["192.0.2.1"])
            for name in ["nobody.invalid", "-s", "a b", ""] {
                await #expect(throws: NetworkError.self) { try await ACMESession.addresses(of: name, in: world) }
            }
        }
        world.shutdown()
    }

    @Test("settings that cannot be used name their flag")
    func settings() throws {
        let world = try Reactor(name: "acme-test")
        #expect(throws: ClusterError.self) { try ACMESession(ACMESettings(directory: "http://ca.test/"), in: world) }
        var settings = ACMESettings(directory: "https://ca.test/dir")
        settings.authorityFile = "/nowhere/ca.crt"
        #expect { try ACMESession(settings, in: world) } throws: { "\($0)".contains("--acme-ca /nowhere/ca.crt") }
        world.shutdown()
    }
}
