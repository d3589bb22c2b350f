import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

@Suite struct AccessTests {
    private let jane = Identity(user: "jane", groups: ["system:authenticated"])

    @Test func withoutACertificateOnlyHealthAndVersionAreShown() async throws {
        try await TestAPI.run { api in
            func anonymous(_ path: String) async -> Reply {
                await TestAPI.collect(await api.gateway.handle(api.request(.get, path)))
            }
            for path in ["/healthz", "/livez", "/readyz", "/version"] { #expect(await anonymous(path).code == 200) }
            for path in ["/api", "/apis", "/api/v1/pods", "/openapi/v2", "/metrics", "/nothing"] {
                let refused = await anonymous(path)
                #expect(refused.code == 401)
                #expect(refused.json["message"] == "Unauthorized")
                #expect(refused.reason == "Unauthorized")
            }
        }
    }

    @Test func aCertificatesNameIsTheUserAndItsOrganisationsAreTheGroups() async throws {
        try await TestAPI.run { api in
            func ask(_ subject: CertificateSubject) async -> Int {
                var request = api.request(.get, "/api/v1/pods")
                request.peer = Peer(certificate: subject, isSecure: true)
                return await TestAPI.collect(await api.gateway.handle(request)).code
            }
            #expect(await ask(.init(commonName: "root", organizations: ["system:masters"])) == 200)
            #expect(await ask(.init(commonName: "system:node:n1", organizations: ["system:nodes"])) == 200)
            #expect(await ask(.init(commonName: "system:kube-scheduler", organizations: [])) == 200)
            #expect(await ask(.init(commonName: "jane", organizations: ["staff"])) == 403)
            #expect(await ask(.init(commonName: "", organizations: ["system:masters"])) == 401)
        }
    }

    @Test func whoMayNotIsToldWhat() async throws {
        try await TestAPI.run { api in
            let list = await api.send(.get, Paths.pods, as: jane)
            #expect(list.code == 403)
            #expect(list.reason == "Forbidden")
            #expect(
                list.message
                    == "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the "
                    + "namespace \"default\"")
            let get = await api.send(.get, "\(Paths.deployments)/web", as: jane)
            #expect(
                get.message
                    == "deployments.apps \"web\" is forbidden: User \"jane\" cannot get resource \"deployments\" in "
                    + "API group \"apps\" in the namespace \"default\"")
            let nodes = await api.send(.get, "/api/v1/nodes", as: jane)
            #expect(nodes.message.hasSuffix("at the cluster scope"))
            let metrics = await api.send(.get, "/metrics", as: jane)
            #expect(metrics.message == "forbidden: User \"jane\" cannot get path \"/metrics\"")
            #expect(await api.send(.get, "/apis", as: jane).code == 200)
        }
    }

    @Test func aFullHouseTurnsRequestsAwayButNotHealth() async throws {
        try await TestAPI.run { api in
            var tickets: [Admittance.Ticket] = []
            while let ticket = api.gateway.admittance.enter(.read) { tickets.append(ticket) }
            #expect(tickets.count == Limits.readsInFlight)
            let refused = await api.get(Paths.pods)
            #expect(refused.code == 429)
            #expect(refused.reason == "TooManyRequests")
            #expect(refused.head.headerFields[.retryAfter] == "1")
            #expect(await api.get("/healthz").code == 200)
            #expect(await api.post(Paths.configMaps, Samples.configMap("a")).code == 201)
            tickets.removeAll()
            #expect(await api.get(Paths.pods).code == 200)
        }
    }
}
