import MartletBase
import MartletHTTP
import MartletObject
import Testing

@Suite("What an ingress says and cannot be carried out") struct ProblemTests {
    @Test("each problem becomes one warning on its Ingress, however often the tables change")
    func warnings() async throws {
        try await TestNet.run { net in
            net.api.put(.ingress, Objects.ingress("lost", host: "lost.test"))
            try await net.until { net.api.posted.count == 1 }
            let event = try #require(net.api.posted.first)
            #expect(event.kind == "Event" && event.namespace == "default")
            #expect(event["involvedObject", "kind"]?.string == "Ingress")
            #expect(event["involvedObject", "name"]?.string == "lost")
            #expect(event["type"]?.string == "Warning" && event["reason"]?.string == "Sync")
            #expect(event["message"]?.string == "service \"default/lost\" not found")

            // The service comes and goes: the same sentence is not told again.
            let pod = try await net.backend { _ in text("found") }
            net.serve("lost.test", [pod.endpoint])
            try await net.eventually("lost.test") { $0.code == 200 }
            net.api.remove(.service, namespace: "default", name: "lost")
            try await net.eventually("lost.test") { $0.code == 503 }
            net.api.put(.ingress, Objects.ingress("other", host: "other.test", tls: "none"))
            try await net.until { net.api.posted.count >= 3 }
            #expect(
                Set(net.api.posted.compactMap { $0["message"]?.string }) == [
                    "service \"default/lost\" not found", "service \"default/other\" not found",
                    "secret \"none\" not found",
                ])
            #expect(net.api.posted.count == 3)
        }
    }

    @Test("a warning that could not be written is written after a later change")
    func refused() async throws {
        try await TestNet.run(prepare: { $0.refusesPosts = true }) { net in
            net.api.put(.ingress, Objects.ingress("lost", host: "lost.test"))
            try await net.until { net.api.refused > 0 }
            net.api.refusesPosts = false
            try await net.until {
                net.api.put(.ingress, Objects.ingress("lost", host: "lost.test"))
                return !net.api.posted.isEmpty
            }
        }
    }
}
