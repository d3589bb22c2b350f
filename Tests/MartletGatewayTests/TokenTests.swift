import FuzzSupport
import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

@Suite struct TokenTests {
    /// A key for tests: a digest under a secret stands for a signature.
    private static let settings = settings("k1")

    private static func settings(_ name: String) -> TokenSettings {
        let secret = Array("secret \(name)".utf8)
        let key = TokenSettings.Key(
            identifier: name, algorithm: "RS256", jwk: Array(#"{"kid":"\#(name)"}"#.utf8),
            verifies: { Secrets.equal($0, Secrets.sign($1, key: secret)) })
        return TokenSettings(key: key, sign: { Secrets.sign($0, key: secret) })
    }

    private func run(_ body: @escaping @Sendable (TestAPI) async throws -> Void) async throws {
        try await TestAPI.run(configure: { $0.tokens = Self.settings }, body)
    }

    private static let account = "/api/v1/namespaces/default/serviceaccounts/default"

    private func show(_ token: String, _ api: TestAPI) async -> Reply {
        var request = api.request(.post, "/apis/authentication.k8s.io/v1/selfsubjectreviews", Array("{}".utf8))
        request.head.headerFields[.authorization] = "Bearer \(token)"
        return await TestAPI.collect(await api.gateway.handle(request))
    }

    private func token(_ api: TestAPI, _ spec: JSON = [:]) async -> Reply {
        await api.post("\(Self.account)/token", ["spec": spec])
    }

    @Test func tokensAreGoodForAsLongAsTheirKeyIsKnown() async throws {
        try await run { api in
            let old = try #require(await token(api).json["status", "token"]?.string)
            #expect(await show(old, api).code == 201)
            var both = Self.settings("k2")
            both.keys += Self.settings.keys
            api.gateway.setTokens(both)
            let new = try #require(await token(api).json["status", "token"]?.string)
            for text in [old, new] { #expect(await show(text, api).code == 201) }
            api.gateway.setTokens(Self.settings("k2"))
            #expect(await show(old, api).code == 401, "a token that was seen before is no exception")
            #expect(await show(new, api).code == 201)
        }
    }

    @Test func aTokenSaysWhoShowsIt() async throws {
        try await run { api in
            let made = await token(api)
            #expect(made.code == 201)
            let text = try #require(made.json["status", "token"]?.string)
            let shown = await show(text, api)
            #expect(shown.code == 201)
            let user = shown.json["status", "userInfo"]
            #expect(user?["username"] == "system:serviceaccount:default:default")
            #expect(
                user?["groups"] == [
                    "system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated",
                ])
            // A token of one letter more, or signed by nobody, is none.
            for bad in ["\(text)A", "x.y.z", "", String(text.dropLast(4)) + "AAAA"] {
                #expect(await show(bad, api).code == 401)
            }
            // Its account's end is its own.
            #expect(await api.delete(Self.account).code == 200)
            #expect(await show(text, api).code == 401)
        }
    }

    @Test func aTokenInASecretIsGoodForAsLongAsTheSecretHasIt() async throws {
        try await run { api in
            let uid = await api.get(Self.account).json.uid
            let claims: JSON = [
                "iss": "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/namespace": "default",
                "kubernetes.io/serviceaccount/secret.name": "kept",
                "kubernetes.io/serviceaccount/service-account.name": "default",
                "kubernetes.io/serviceaccount/service-account.uid": .string(uid),
                "sub": "system:serviceaccount:default:default",
            ]
            let text = try api.gateway.signToken(claims)
            #expect(await show(text, api).code == 401, "it lies in no Secret")
            let secret: JSON = [
                "metadata": [
                    "name": "kept", "annotations": ["kubernetes.io/service-account.name": "default"],
                ], "type": "kubernetes.io/service-account-token", "data": ["token": .string(Base64.encode(text.utf8))],
            ]
            #expect(await api.post("/api/v1/namespaces/default/secrets", secret).code == 201)
            let shown = await show(text, api)
            #expect(shown.code == 201)
            #expect(shown.json["status", "userInfo", "username"] == "system:serviceaccount:default:default")
            let foreign = try api.gateway.signToken(["iss": "kubernetes/serviceaccount", "sub": "system:masters"])
            #expect(await show(foreign, api).code == 401)
            #expect(await api.delete("/api/v1/namespaces/default/secrets/kept").code == 200)
            #expect(await show(text, api).code == 401)
        }
    }

    @Test func aTokenOfAPodEndsWithIt() async throws {
        try await run { api in
            #expect(await api.post(Paths.pods, Samples.pod("p")).code == 201)
            let made = await token(api, ["boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": "p"]])
            let text = try #require(made.json["status", "token"]?.string)
            let user = await show(text, api).json["status", "userInfo"]
            #expect(user?["extra", "authentication.kubernetes.io/pod-name"] == ["p"])
            #expect(await api.delete("\(Paths.pods)/p", ["gracePeriodSeconds": 0]).code == 200)
            #expect(await api.post(Paths.pods, Samples.pod("p")).code == 201)
            #expect(await show(text, api).code == 401)
            let wrong = await token(
                api, ["boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "other"]])
            #expect(wrong.code == 409)
            #expect(
                await token(api, ["boundObjectRef": ["kind": "Service", "apiVersion": "v1", "name": "x"]]).code == 400)
        }
    }

    @Test func aTokenIsForItsAudienceAndForNotTooShort() async throws {
        try await run { api in
            let other = await token(api, ["audiences": ["vault"]])
            let text = try #require(other.json["status", "token"]?.string)
            #expect(await show(text, api).code == 401)
            let review: JSON = ["spec": ["token": .string(text), "audiences": ["vault", "x"]]]
            let answer = await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
            #expect(answer.json["status", "authenticated"] == true)
            #expect(answer.json["status", "audiences"] == ["vault"])
            let short = await token(api, ["expirationSeconds": 599])
            #expect(short.code == 422)
            #expect(short.message.hasSuffix("Invalid value: 599: may not specify a duration less than 10 minutes"))
        }
    }

    @Test func aCertificateGoesBeforeAToken() async throws {
        try await run { api in
            var request = api.request(.get, "/api/v1/nodes")
            request.head.headerFields[.authorization] = "Bearer wrong"
            request.peer = Peer(
                certificate: .init(commonName: "root", organizations: ["system:masters"]), isSecure: true)
            #expect(await api.gateway.handle(request).head.status.code == 200)
            request.peer = Peer(certificate: nil, isSecure: true)
            #expect(await api.gateway.handle(request).head.status.code == 401)
            var health = api.request(.get, "/healthz")
            #expect(await api.gateway.handle(health).head.status.code == 200)
            health.head.headerFields[.authorization] = "Bearer wrong"
            #expect(await api.gateway.handle(health).head.status.code == 401)
        }
    }

    @Test func whoVerifiesByThemselvesFindsTheKeys() async throws {
        try await run { api in
            let document = await api.get("/.well-known/openid-configuration").json
            #expect(document["issuer"]?.string == Self.settings.issuer)
            #expect(await api.get("/openid/v1/jwks").json["keys"] == [["kid": "k1"]])
        }
    }

    @Test func aFileHasTokens() throws {
        let file = try TokenFile(
            """
            # token, user, uid, groups
            abc,jane,1,"staff,ops"

            def, joe,2
            """)
        #expect(file.identity(of: "abc")?.groups == ["staff", "ops", "system:authenticated"])
        #expect(file.identity(of: "def")?.user == "joe")
        #expect(file.identity(of: "ab") == nil)
        #expect(throws: TokenFileError.self) { try TokenFile("abc,jane") }
        #expect(throws: TokenFileError.self) { try TokenFile("abc,jane,1,\"x") }
        #expect(throws: TokenFileError.self) { try TokenFile(",jane,1") }
    }

    @Test func aMachineJoinsByASecret() {
        func secret(_ data: [String: String]) -> JSON {
            [
                "type": "bootstrap.kubernetes.io/token",
                "data": JSON(data.mapValues { Base64.encode(Array($0.utf8)) }),
            ]
        }
        let data = [
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
            "expiration": "2030-01-01T00:00:00Z", "auth-extra-groups": "system:bootstrappers:kubeadm",
        ]
        func identity(_ data: [String: String], _ secretText: String = "0123456789abcdef") -> Identity? {
            BootstrapTokens.identity(
                id: "abcdef", secret: secretText, in: secret(data), now: WallTime(seconds: 1_800_000_000))
        }
        #expect(identity(data)?.user == "system:bootstrap:abcdef")
        #expect(
            identity(data)?.groups
                == ["system:bootstrappers", "system:bootstrappers:kubeadm", "system:authenticated"])
        #expect(identity(data, "0123456789abcdee") == nil)
        #expect(identity(data.merging(["expiration": "2020-01-01T00:00:00Z"]) { $1 }) == nil)
        #expect(identity(data.merging(["usage-bootstrap-authentication": "false"]) { $1 }) == nil)
        #expect(identity(data.merging(["auth-extra-groups": "system:masters"]) { $1 }) == nil)
        #expect(BootstrapTokens.parts("abcdef.0123456789abcdef")?.id == "abcdef")
        for text in ["abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123", "a.b.c"] {
            #expect(BootstrapTokens.parts(text) == nil)
        }
    }

    @Test func fuzzedTokensNeverTrap() {
        var random = SplitMix64(seed: Fuzz.seed(7))
        let good = Array(
            WebToken.make(
                ["iss": "x", "exp": 1e300, "aud": ["a"]], algorithm: "RS256", keyID: "k", sign: { Array($0.prefix(9)) }
            ).utf8)
        let file = Array("abc,jane,1,\"staff,ops\"\r\ndef,joe,2\n".utf8)
        for _ in 0..<Fuzz.runs(2000) {
            let token = WebToken(String(decoding: Fuzz.spoiled(good, &random), as: UTF8.self))
            _ = token?.time("exp")
            _ = token?.audiences
            _ = try? TokenFile(String(decoding: Fuzz.spoiled(file, &random), as: UTF8.self))
            var fields = HTTPFields()
            let name =
                "Impersonate-Extra-" + String(decoding: Fuzz.spoiled(Array("a%2Fb".utf8), &random), as: UTF8.self)
            if let name = HTTPField.Name(name) { fields[name] = "x" }
            _ = try? Impersonation(fields)
        }
        #expect(WebToken(String(repeating: "a", count: Limits.token + 1)) == nil)
    }
}
