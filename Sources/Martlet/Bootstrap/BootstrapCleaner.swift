internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject

/// Removes what joining and renewing leave in the store, where the leader is: requests for certificates that are over,
/// and bootstrap tokens that have ended (kube-controller-manager's `csrcleaner` and `token-cleaner`, with their times).
struct BootstrapCleaner: Sendable {
    static let pause: Duration = .seconds(60)
    /// How long requests that are decided, and those that nobody decides, stay to be looked at.
    static let keptSeconds: (decided: Int64, undecided: Int64) = (3600, 24 * 3600)

    let client: Client
    let world: any World
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        while (try? await world.sleep(for: Self.pause)) != nil {
            do { try await clean() } catch {
                logger.debug("what joining left stays for now", metadata: ["error": "\(error)"])
            }
        }
    }

    private func clean() async throws {
        let now = world.wallTime()
        for request in try await client.list(.certificateSigningRequest).items
        where Self.isSpent(request: request, now) {
            try await remove(.certificateSigningRequest, request)
        }
        let tokens = try await client.list(
            .secret, namespace: "kube-system", fieldSelector: "type=\(JoinToken.secretType)"
        ).items
        for token in tokens where Self.isSpent(token: token, now) { try await remove(.secret, token) }
    }

    private func remove(_ kind: ResourceKind, _ object: JSON) async throws {
        do {
            try await client.delete(kind, namespace: object.namespace, name: object.name, uid: object.uid)
        } catch let error as APIError where error.isNotFound || error.isConflict {
            // Gone already, or another has its name.
        }
    }

    /// Whether nobody asks for a request any longer.
    static func isSpent(request: JSON, _ now: WallTime) -> Bool {
        func age(_ text: JSON?) -> Int64 {
            text?.string.flatMap(WallTime.init(rfc3339:)).map { now.seconds - $0.seconds } ?? 0
        }
        let conditions = request["status", "conditions"]?.array ?? []
        let isIssued = request["status", "certificate"]?.string?.isEmpty == false
        for condition in conditions {
            let isOver = isIssued || condition["type"]?.string != "Approved"
            if isOver, age(condition["lastUpdateTime"]) > keptSeconds.decided { return true }
        }
        return !isIssued && age(request["metadata", "creationTimestamp"]) > keptSeconds.undecided
    }

    /// Whether a bootstrap token has ended; one without an end, or with one that cannot be read, stays.
    static func isSpent(token: JSON, _ now: WallTime) -> Bool {
        guard let bytes = token["data", "expiration"]?.string.flatMap({ Base64.decode($0) }),
            let end = WallTime(rfc3339: String(decoding: bytes, as: UTF8.self))
        else { return false }
        return end.seconds <= now.seconds
    }
}
