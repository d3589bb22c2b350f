import HTTPTypes
import MartletBase
import MartletHTTP
import MartletNet
import MartletObject
import MartletRoutes
import Testing

@Suite("Proofs for certificate authorities at the edge") struct ProofTests {
    @Test("a token is answered on any host in the clear while it is in the store, and nothing else is")
    func tokens() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("pod") }
            net.serve("web.test", [pod.endpoint])
            let plain = net.plainClient(net.edge.endpoints[1])
            func ask(_ path: String, _ method: HTTPRequest.Method = .get) async throws -> Answer {
                try await net.ask("web.test", path, method, through: plain)
            }
            let path = ACMEAnswers.path + "tok-1"
            #expect(try await ask(path).code == 308, "nobody waits for it")
            net.api.put(
                .secret,
                [
                    "metadata": ["name": .string(ACMEAnswers.name), "namespace": .string(ACMEAnswers.namespace)],
                    "data": ["tok-1": .string(Base64.encode(Array("tok-1.print".utf8)))],
                ])
            try await net.until { try await ask(path).body == "tok-1.print" }
            #expect(try await ask(path).code == 200)
            #expect(try await net.ask("other.test", path, through: plain).body == "tok-1.print")
            #expect(try await ask(ACMEAnswers.path + "tok-2").code == 308)
            #expect(try await ask(path, .post).code == 308)
            net.api.remove(.secret, namespace: ACMEAnswers.namespace, name: ACMEAnswers.name)
            try await net.until { try await ask(path).code == 308 }
        }
    }
}
