import FuzzSupport
import MartletBase
import MartletObject
import Testing

@testable import MartletPKI

/// A certificate authority in a few lines: it answers what an issuance posts, and notes what that was.
private struct Script {
    static let origin = "https://ca.test:14000"
    var posted: [String] = []
    var issuance: ACMEIssuance

    init(_ names: [String] = ["web.test"]) throws {
        let directory = try ACMEDirectory(
            Self.answer(200, #"{"newNonce":"ORIGIN/n","newAccount":"ORIGIN/a","newOrder":"ORIGIN/o"}"#),
            origin: Self.origin)
        issuance = ACMEIssuance(directory, origin: Self.origin, names: names, request: [1, 2, 3])
    }

    static func answer(_ status: Int, _ text: String, location: String? = nil, after: Duration? = nil) -> ACMEAnswer {
        ACMEAnswer(
            status: status, location: location.map { origin + $0 }, retryAfter: after,
            body: Array(text.replacing("ORIGIN", with: origin).utf8))
    }

    /// Takes what is to be posted, which must be at this path, and answers it.
    mutating func expect(
        _ path: String, _ answer: ACMEAnswer, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard case .post(let url, let payload) = issuance.step else {
            Issue.record("nothing is posted: \(issuance.step)", sourceLocation: sourceLocation)
            return
        }
        #expect(url == Self.origin + path, sourceLocation: sourceLocation)
        posted.append(payload.map { String(decoding: $0.encoded(), as: UTF8.self) } ?? "")
        issuance.took(answer)
    }

    static func order(_ status: String, _ more: String = "", authorizations: String = #""ORIGIN/z1""#) -> String {
        #"{"status":"\#(status)","authorizations":[\#(authorizations)],"finalize":"ORIGIN/f"\#(more)}"#
    }
    static func authorization(_ status: String, _ name: String = "web.test", token: String = "tok-1") -> String {
        """
        {"status":"\(status)","identifier":{"type":"dns","value":"\(name)"},"challenges":[
        {"type":"dns-01","url":"ORIGIN/c0","token":"x"},
        {"type":"http-01","url":"ORIGIN/c-\(token)","token":"\(token)"
        \(status == "invalid" ? #","error":{"type":"urn:ietf:params:acme:error:dns","detail":"no such host"}"# : "")}]}
        """
    }
    static let chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    var problem: ACMEProblem? { if case .failed(let problem) = issuance.step { problem } else { nil } }
}

@Suite("Certificates by ACME") struct ACMETests {
    @Test("two names are proven one after the other, the request is sent, and the chain is fetched")
    func whole() throws {
        var script = try Script(["web.test", "www.web.test"])
        let two = #""ORIGIN/z1","ORIGIN/z2""#
        script.expect("/o", Script.answer(201, Script.order("pending", authorizations: two), location: "/o1"))
        let wanted = ["web.test", "www.web.test"].map { #"{"type":"dns","value":"\#($0)"}"# }
        #expect(script.posted == [#"{"identifiers":[\#(wanted.joined(separator: ","))]}"#])
        script.expect("/z1", Script.answer(200, Script.authorization("pending")))
        #expect(script.issuance.step == .publish(token: "tok-1"))
        script.issuance.published()
        script.expect("/c-tok-1", Script.answer(200, #"{"status":"pending"}"#))
        #expect(script.posted.last == "{}")
        #expect(script.issuance.step == .wait(.seconds(1)))
        script.issuance.waited()
        script.expect("/z1", Script.answer(200, Script.authorization("pending"), after: .seconds(3)))
        #expect(script.issuance.step == .wait(.seconds(3)), "the server says how long")
        script.issuance.waited()
        script.expect("/z1", Script.answer(200, Script.authorization("valid")))
        script.expect("/z2", Script.answer(200, Script.authorization("valid", "www.web.test")))
        script.expect("/o1", Script.answer(200, Script.order("ready", authorizations: two)))
        script.expect("/f", Script.answer(200, Script.order("processing", authorizations: two), after: .seconds(9999)))
        #expect(script.posted.last == #"{"csr":"AQID"}"#)
        #expect(script.issuance.step == .wait(.seconds(30)), "but not for ever")
        script.issuance.waited()
        let valid = Script.order("valid", #","certificate":"ORIGIN/crt""#, authorizations: two)
        script.expect("/o1", Script.answer(200, valid))
        script.expect("/crt", Script.answer(200, Script.chain))
        #expect(script.issuance.step == .done(Array(Script.chain.utf8)))
    }

    @Test("an order whose names are proven already goes straight on")
    func ready() throws {
        var script = try Script()
        script.expect("/o", Script.answer(201, Script.order("ready"), location: "/o1"))
        script.expect("/f", Script.answer(200, Script.order("valid", #","certificate":"ORIGIN/crt""#)))
        script.expect("/crt", Script.answer(200, "no certificate"))
        #expect(script.problem?.detail.contains("status 200") == true)
    }

    @Test("what the authority says against a name is told in its words")
    func refused() throws {
        var script = try Script()
        script.expect("/o", Script.answer(201, Script.order("pending"), location: "/o1"))
        script.expect("/z1", Script.answer(200, Script.authorization("invalid")))
        #expect(script.problem == ACMEProblem(type: "dns", detail: "no such host"))

        script = try Script()
        let limit = #"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many\u0007"}"#
        script.expect("/o", Script.answer(429, limit, after: .seconds(7200)))
        #expect(script.problem == ACMEProblem(type: "rateLimited", detail: "too many ", retryAfter: .seconds(7200)))
        #expect(script.problem?.isRateLimit == true)
    }

    @Test("nobody leads us to another origin")
    func elsewhere() throws {
        let others = ["https://evil.test/o1", "http://ca.test:14000/o1", "https://ca.test:14000@evil.test/", "/o1", ""]
        for other in others {
            var script = try Script()
            guard case .post = script.issuance.step else { throw ACMEProblem(type: "", detail: "nothing posted") }
            script.issuance.took(
                ACMEAnswer(status: 201, location: other, body: Array(Script.order("pending").utf8)))
            #expect(script.problem != nil, "\(other)")
        }
        var script = try Script()
        let order = Script.order("pending", authorizations: #""https://evil.test/z""#)
        script.expect("/o", Script.answer(201, order, location: "/o1"))
        #expect(script.problem?.detail == "the authority's answer is no order")
        let directory = #"{"newNonce":"https://evil.test/n","newAccount":"ORIGIN/a","newOrder":"ORIGIN/o"}"#
        #expect(throws: ACMEProblem.self) {
            try ACMEDirectory(Script.answer(200, directory), origin: Script.origin)
        }
    }

    @Test("an authority that comes to no end is left")
    func endless() throws {
        var script = try Script()
        script.expect("/o", Script.answer(201, Script.order("processing"), location: "/o1"))
        var rounds = 0
        while case .wait = script.issuance.step, rounds < 1000 {
            rounds += 1
            script.issuance.waited()
            script.expect("/o1", Script.answer(200, Script.order("processing")))
        }
        #expect(rounds == ACMELimits.looks)
        #expect(script.problem?.detail == "the authority has come to no end with web.test")
    }

    @Test("origins, hosts and ports of URLs")
    func urls() {
        #expect(ACMEURL.parts("https://ca.test/dir")?.origin == "https://ca.test")
        #expect(ACMEURL.parts("https://ca.test/dir")?.port == 443)
        let six = ACMEURL.parts("https://[fd00::1]:14000/dir")
        #expect(six?.host == "fd00::1" && six?.port == 14000)
        #expect(ACMEURL.parts("https://[fd00::1]/")?.host == "fd00::1")
        for bad in ["", "https://", "http://a/", "https://a:0/", "https://a:x/", "https://a b/", "https://u@a/"] {
            #expect(ACMEURL.parts(bad) == nil, "\(bad)")
        }
        #expect(ACMEURL.path("https://ca.test", origin: "https://ca.test") == "/")
        #expect(ACMEURL.path("https://ca.test/a?b", origin: "https://ca.test") == "/a?b")
        #expect(ACMEURL.path("https://ca.test?b#c", origin: "https://ca.test") == "/?b")
    }

    @Test("requests are signed over what they say, for the key or the account")
    func signatures() throws {
        let key = try SigningKey(pem: try PrivateKey.makeEC())
        for account in [nil, "https://ca.test/acct/1"] {
            let bytes = try JWS.sign(["a": 1], url: "https://ca.test/o", nonce: "n1", key: key, account: account)
            let json = try JSON(parsing: bytes)
            let (head, payload) = (json["protected"]?.string ?? "", json["payload"]?.string ?? "")
            let signature = try #require(json["signature"]?.string.flatMap { Base64.decodeForURL($0) })
            #expect(signature.count == 64)
            #expect(key.verifies(signature, of: Array("\(head).\(payload)".utf8)))
            let fields = try JSON(parsing: try #require(Base64.decodeForURL(head)))
            #expect(fields["alg"]?.string == "ES256" && fields["nonce"]?.string == "n1")
            #expect(fields["url"]?.string == "https://ca.test/o")
            #expect((fields["kid"]?.string, fields["jwk"] == nil) == (account, account != nil))
        }
        let empty = try JSON(parsing: try JWS.sign(nil, url: "u", nonce: "n", key: key, account: "a"))
        #expect(empty["payload"]?.string == "")
        let members = String(decoding: JWS.publicKey(key).encoded(), as: UTF8.self)
        #expect(members.hasPrefix(#"{"crv":"P-256","kty":"EC","x":""#))
        let digest = Base64.encodeForURL(try SigningKey.digest(Array(members.utf8)))
        #expect(try JWS.keyAuthorization("tok", key) == "tok.\(digest)")
    }

    @Test("a request for names has them and no other, and its bytes are those of its text")
    func request() throws {
        var wanted = CertificateRequest(commonName: "")
        wanted.dnsNames = ["web.test", String(repeating: "a.", count: 60) + "long.test"]
        let request = try SigningRequest(wanted, key: try PrivateKey.makeEC())
        #expect(try SigningRequest(pem: request.pem).wanted.dnsNames == wanted.dnsNames)
        #expect(try request.der().first == 0x30)
        let authority = try Authority.make(
            commonName: "ca", lifetime: .seconds(3600), now: WallTime(seconds: 1_800_000_000))
        (wanted.commonName, wanted.isServer) = ("web.test", true)
        let now = WallTime(seconds: 1_800_000_000)
        let pair = try authority.issue(wanted, now: now)
        try pair.check(names: wanted.dnsNames, now: now)
        #expect(throws: PKIError.self) { try pair.check(names: ["other.test"], now: now) }
        #expect(throws: PKIError.self) { try pair.check(names: [], now: WallTime(seconds: 1_900_000_000)) }
        let other = KeyPair(certificatePEM: pair.certificatePEM, privateKeyPEM: try PrivateKey.makeEC())
        #expect(throws: PKIError.self) { try other.check(names: [], now: now) }
    }

    @Test("what failed is tried again later each time, and as late as the authority asks")
    func patience() {
        let start = WallTime(seconds: 1_800_000_000)
        var patience = ACMEPatience()
        #expect(patience.allows("a", now: start))
        let refusal = ACMEProblem(type: "dns", detail: "")
        #expect(patience.failed("a", refusal, now: start) == .seconds(300))
        #expect(!patience.allows("a", now: start + .seconds(299)))
        #expect(patience.allows("a", now: start + .seconds(300)))
        #expect(patience.allows("b", now: start))
        #expect(patience.failed("a", refusal, now: start) == .seconds(600))
        for _ in 0..<40 { _ = patience.failed("a", refusal, now: start) }
        #expect(patience.failed("a", refusal, now: start) == .seconds(24 * 3600))
        patience.succeeded("a")
        #expect(patience.failed("a", nil, now: start) == .seconds(10), "it was not reached")
        let limit = ACMEProblem(type: "rateLimited", detail: "", retryAfter: .seconds(7200))
        #expect(patience.failed("c", limit, now: start) == .seconds(7200))
        for number in 0..<20_000 { _ = patience.failed("n\(number)", nil, now: start) }
        #expect(!patience.allows("c", now: start), "those that wait are remembered")
    }

    @Test("no answer of an authority traps, and none leads elsewhere")
    func fuzz() throws {
        let answers = [
            Script.order("pending"), Script.order("ready"), Script.order("valid", #","certificate":"ORIGIN/crt""#),
            Script.authorization("pending"), Script.authorization("valid"), Script.authorization("invalid"),
            #"{"type":"urn:ietf:params:acme:error:badNonce","detail":"no","subproblems":[{"detail":"x"}]}"#, "[]", "",
            Script.chain,
        ]
        var random = MartletBase.SplitMix64(seed: Fuzz.seed(83))
        var ends: [String: Int] = [:]
        for _ in 0..<Fuzz.runs(3000) {
            var script = try Script()
            steps: for _ in 0..<60 {
                switch script.issuance.step {
                case .post(let url, _):
                    #expect(ACMEURL.parts(url)?.origin == Script.origin)
                    #expect(ACMEURL.path(url, origin: Script.origin).hasPrefix("/"))
                    var text = Array((answers.randomElement(using: &random) ?? "").utf8)
                    if Int.random(in: 0..<3, using: &random) == 0, !text.isEmpty {
                        text[Int.random(in: 0..<text.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                    }
                    var answer = Script.answer(
                        [200, 201, 400, 500].randomElement(using: &random) ?? 200,
                        String(decoding: text, as: UTF8.self),
                        location: ["/o1", "/z1", "//", ""].randomElement(using: &random))
                    answer.retryAfter = .seconds(Int64.random(in: -5...100_000, using: &random))
                    script.issuance.took(answer)
                case .publish(let token):
                    #expect(ACMEChallenge.isToken(token))
                    script.issuance.published()
                case .wait(let time):
                    #expect(ACMELimits.pause.contains(time))
                    script.issuance.waited()
                case .done:
                    ends["done", default: 0] += 1
                    break steps
                case .failed:
                    ends["failed", default: 0] += 1
                    break steps
                }
            }
        }
        // Both happen, or nothing was tried.
        #expect(ends["failed", default: 0] > 100)
        #expect(ends["done", default: 0] > 0)
    }
}
