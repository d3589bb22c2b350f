import MartletBase
import MartletObject
import Testing

@testable import MartletRoutes

/// Which routes pass requests on and do nothing else: all that a policy can say beside that makes one no plain route.
@Suite struct PlainRouteTests {
    private static let plain: RoutePolicy = {
        var policy = RoutePolicy()
        policy.redirectsToSecure = false
        policy.bodyLimit = 7
        policy.backendProtocol = .http
        policy.timeouts.read = .seconds(1)
        policy.timeouts.send = .seconds(1)
        return policy
    }()

    private static let changes: [@Sendable (inout RoutePolicy) -> Void] = [
        { $0.failure = RouteFailure(status: 503, text: "no") },
        { $0.appRoot = "/a" },
        { $0.filters.requestFields.remove = ["A"] },
        { $0.filters.responseFields.remove = ["A"] },
        { $0.filters.mirrors = [Mirror(slot: 0)] },
        { $0.upstreamHost = "a" },
        { $0.timeouts.connect = .seconds(1) },
        { $0.timeouts.request = .seconds(1) },
        { $0.timeouts.backendRequest = .seconds(1) },
        { $0.backendProtocol = .https },
        { $0.backendProtocol = .h2c },
        { $0.preface = .one },
        { $0.goesThroughService = true },
        { $0.access = AccessRules() },
        { $0.authentication = BasicAuthentication(realm: "a", hashes: [:]) },
        { $0.limits.perSecond = 1 },
        { $0.limits.connections = 1 },
        { $0.affinity = CookieAffinity() },
        { $0.canaries = [Canary()] },
    ]

    @Test func whatOnlyNamesBoundsIsPlain() {
        #expect(RoutePolicy().isPlain && Self.plain.isPlain)
    }

    @Test(arguments: changes.indices) func whatDoesMoreIsNot(change: Int) {
        var policy = Self.plain
        Self.changes[change](&policy)
        #expect(!policy.isPlain)
    }
}
