import MartletBase
import Testing

@testable import MartletRoutes

@Suite("Endpoints that fail too often in a row") struct OutlierTests {
    let pods = (1...20).map { Endpoint.ip("10.0.0.\($0)", port: 80) }
    let start = MonotonicTime(nanoseconds: 1_000_000_000)

    /// Lets an endpoint fail so often; whether the last time ejected it.
    func fail(
        _ endpoint: Endpoint, _ count: Int, among all: [Endpoint], _ outliers: inout OutlierEjection,
        at now: MonotonicTime
    ) -> Bool {
        var isEjected = false
        for _ in 0..<count { isEjected = outliers.failed(endpoint, among: all, at: now) }
        return isEjected
    }

    @Test("five failures in a row eject for thirty seconds, four do not, and a success between them starts anew")
    func story() {
        var outliers = OutlierEjection()
        #expect(outliers.isQuiet)
        #expect(!fail(pods[0], 4, among: pods, &outliers, at: start))
        outliers.succeeded(pods[0], at: start)
        #expect(outliers.isQuiet)
        #expect(!fail(pods[0], 4, among: pods, &outliers, at: start))
        #expect(!outliers.isEjected(pods[0], at: start))
        let isOut = outliers.failed(pods[0], among: pods, at: start)
        #expect(isOut)
        #expect(outliers.isEjected(pods[0], at: start + .seconds(29)) && !outliers.isEjected(pods[1], at: start))
        #expect(!outliers.isEjected(pods[0], at: start + .seconds(30)))
    }

    @Test("each ejection lasts longer, up to five minutes; time without a fault makes them shorter again")
    func lengths() {
        var outliers = OutlierEjection()
        var now = start
        for number in 1...12 {
            #expect(fail(pods[0], 5, among: pods, &outliers, at: now))
            let length = Duration.seconds(min(300, 30 * number))
            #expect(outliers.isEjected(pods[0], at: now + (length - .seconds(1))))
            #expect(!outliers.isEjected(pods[0], at: now + length))
            now = now + length
        }
        for _ in 0..<11 {
            now = now + .seconds(30)
            outliers.succeeded(pods[0], at: now)
            #expect(!outliers.isQuiet && !outliers.isEjected(pods[0], at: now))
        }
        #expect(fail(pods[0], 5, among: pods, &outliers, at: now))
        #expect(!outliers.isEjected(pods[0], at: now + .seconds(60)))
        now = now + .seconds(60)
        for _ in 0..<2 {
            now = now + .seconds(30)
            outliers.succeeded(pods[0], at: now)
        }
        #expect(outliers.isQuiet)
    }

    @Test("at most a tenth of a Service's endpoints is ejected at a time, but one always may be")
    func share() {
        var outliers = OutlierEjection()
        var ejected = 0
        for pod in pods where fail(pod, 5, among: pods, &outliers, at: start) { ejected += 1 }
        #expect(ejected == 2)
        // One that stands by has its turn when another is back.
        let later = start + .seconds(30)
        let isNext = outliers.failed(pods[5], among: pods, at: later)
        #expect(isNext)
        var few = OutlierEjection()
        #expect(fail(pods[0], 5, among: Array(pods[..<2]), &few, at: start))
        #expect(!fail(pods[1], 50, among: Array(pods[..<2]), &few, at: start))
        var alone = OutlierEjection()
        #expect(fail(pods[0], 5, among: [pods[0]], &alone, at: start))
    }

    @Test("what is ejected fails on without being ejected anew; those who leave the table are forgotten")
    func keeping() {
        var outliers = OutlierEjection()
        #expect(fail(pods[0], 5, among: pods, &outliers, at: start))
        #expect(!fail(pods[0], 20, among: pods, &outliers, at: start + .seconds(10)))
        #expect(!outliers.isEjected(pods[0], at: start + .seconds(30)))
        outliers.keep(only: [pods[1]])
        #expect(outliers.isQuiet)
    }
}

@Suite("A choice that leads to an endpoint") struct LeadingChoiceTests {
    @Test("it is found for any of them, and leads there")
    func leads() throws {
        let pods = (1...30).map { Endpoint.ip("10.0.0.\($0)", port: 80) }
        let backend = Backend(service: "default/web", endpoints: pods)
        for pod in pods {
            let choice = try #require(StickyChoice.leading(to: pod, among: pods, of: backend, draw: 7))
            #expect(choice.order(pods).first == pod && choice.isFor(backend))
        }
        #expect(StickyChoice.leading(to: .ip("10.9.9.9", port: 80), among: pods, of: backend, draw: 7) == nil)
    }
}
