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
                #expect(refused.code == 403)
                #expect(refused.reason == "Forbidden")
                if path != "/api/v1/pods" {
                    #expect(
                        refused.message == "forbidden: User \"system:anonymous\" cannot get path \"\(path)\"")
                }
            }
            let pods = await anonymous("/api/v1/pods")
            #expect(
                pods.message
                    == "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group "
                    + "\"\" at the cluster scope")
        }
    }

    @Test func credentialsThatAreNoGoodAreNotThoseOfNobody() async throws {
        try await TestAPI.run { api in
            var request = api.request(.get, "/api")
            request.peer = Peer(isSecure: true)
            request.peer.showedBadCertificate = true
            let shown = await TestAPI.collect(await api.gateway.handle(request))
            #expect(shown.code == 401)
            #expect(shown.json["message"] == "Unauthorized")
            #expect(shown.reason == "Unauthorized")
        }
        try await TestAPI.run(configure: { $0.allowsAnonymous = false }) { api in
            #expect(await TestAPI.collect(await api.gateway.handle(api.request(.get, "/api"))).code == 401)
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
            #expect(await ask(.init(commonName: "system:node:n1", organizations: ["system:nodes"])) == 403)
            #expect(await ask(.init(commonName: "system:kube-scheduler", organizations: [])) == 200)
            #expect(await ask(.init(commonName: "jane", organizations: ["staff"])) == 403)
            #expect(await ask(.init(commonName: "", organizations: ["system:masters"])) == 403)
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
            var tickets = api.gateway.admittance.full(.read, .cluster)
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

    private func impersonating(
        _ api: TestAPI, _ path: String, as caller: Identity, _ fields: [(String, String)]
    ) async -> Reply {
        var request = api.request(.get, path)
        for (name, value) in fields {
            guard let name = HTTPField.Name(name) else { continue }
            request.head.headerFields.append(HTTPField(name: name, value: value))
        }
        return await TestAPI.collect(await api.gateway.serve(request, as: caller))
    }

    @Test func anAdministratorActsAsWhomTheyName() async throws {
        try await TestAPI.run { api in
            let asJane = await impersonating(api, "/api/v1/nodes", as: TestAPI.admin, [("Impersonate-User", "jane")])
            #expect(asJane.code == 403)
            #expect(asJane.message.contains("User \"jane\" cannot list resource \"nodes\""))
            let discovery = await impersonating(api, "/apis", as: TestAPI.admin, [("Impersonate-User", "jane")])
            #expect(discovery.code == 200)
            let grouped = await impersonating(
                api, "/api/v1/nodes", as: TestAPI.admin,
                [
                    ("impersonate-user", "jane"), ("Impersonate-Group", "staff"),
                    ("Impersonate-Group", "system:masters"), ("Impersonate-Uid", "1"), ("Impersonate-Extra-a", "b"),
                ])
            #expect(grouped.code == 200)
        }
    }

    @Test func nobodyElseMayImpersonate() async throws {
        try await TestAPI.run { api in
            let fields = [("Impersonate-User", "jane"), ("Impersonate-Group", "system:masters")]
            let joe = Identity(user: "joe", groups: ["system:authenticated"])
            let refused = await impersonating(api, "/apis", as: joe, fields)
            #expect(refused.code == 403)
            #expect(
                refused.message
                    == "users \"jane\" is forbidden: User \"joe\" cannot impersonate resource \"users\" in API "
                    + "group \"\" at the cluster scope")
            let node = Identity(user: "system:node:n1", groups: ["system:nodes", "system:authenticated"])
            #expect(await impersonating(api, "/api/v1/nodes", as: node, fields).code == 403)
            let account = await impersonating(
                api, "/apis", as: joe, [("Impersonate-User", "system:serviceaccount:default:robot")])
            #expect(account.message.hasPrefix("serviceaccounts \"robot\" is forbidden: User \"joe\" cannot"))
            #expect(account.message.hasSuffix("in the namespace \"default\""))
            let stranger = Identity(user: "system:anonymous", groups: ["system:unauthenticated"])
            #expect(await impersonating(api, "/apis", as: stranger, fields).code == 403)
        }
    }

    @Test func groupsAreNotImpersonatedWithoutAUser() async throws {
        try await TestAPI.run { api in
            for name in ["Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-team"] {
                let reply = await impersonating(api, "/api/v1/nodes", as: TestAPI.admin, [(name, "x")])
                #expect(reply.code == 400)
                #expect(reply.message.hasSuffix("without impersonating a user"))
            }
        }
    }

    @Test func whoIsImpersonatedHasTheGroupsOfTheirStanding() throws {
        func groups(_ fields: HTTPFields) throws -> [String]? {
            try Impersonation(fields)?.identity.groups
        }
        let user = try #require(HTTPField.Name("Impersonate-User"))
        let group = try #require(HTTPField.Name("Impersonate-Group"))
        #expect(try groups([:]) == nil)
        #expect(try groups([user: "jane"]) == ["system:authenticated"])
        #expect(try groups([user: "jane", group: "staff"]) == ["staff", "system:authenticated"])
        #expect(try groups([user: "system:anonymous"]) == ["system:unauthenticated"])
        #expect(
            try groups([user: "system:serviceaccount:a:b"])
                == ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"])
    }
}
