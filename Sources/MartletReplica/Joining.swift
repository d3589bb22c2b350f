internal import Logging
internal import MartletBase
internal import MartletHTTP

// How a new member enters a running cluster: it asks those that it was told of, and says at once why none lets it in.

extension PeerConfiguration {
    /// Asks each of `endpoints` in turn, for a while, to be added.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the time is over.
    func join(via endpoints: [Endpoint], _ asLearner: Bool, in world: any World, _ logger: Logger) async throws
        -> Genesis
    {
        for url in peerURLs { _ = try PeerURL.endpoint(url) }
        let dialer = PeerDialer(world: world, security: security)
        let request = PeerRequest.join(peerURLs: peerURLs, asLearner: asLearner).encoded()
        var obstacles: [Endpoint: JoinObstacle] = [:]
        for attempt in 0..<Limits.joinAttempts {
            if attempt > 0 { try await world.sleep(for: Limits.joinPause) }
            for endpoint in endpoints {
                do {
                    let answer = try await dialer.ask(endpoint, request)
                    guard case .joined(let cluster, let member) = try PeerAnswer(decoding: answer) else {
                        throw PeerError.refused("it answered something else")
                    }
                    return .joining(cluster: cluster, member: member)
                } catch let error as CancellationError {
                    throw error
                } catch {
                    let obstacle = JoinObstacle(error)
                    // Once, and again when the reason is another one.
                    guard obstacles.updateValue(obstacle, forKey: endpoint) != obstacle else { continue }
                    logger.warning("cannot join through \(endpoint): \(obstacle); trying on")
                }
            }
        }
        let reasons = endpoints.compactMap { endpoint in obstacles[endpoint].map { "\(endpoint): \($0)" } }
        let why = reasons.isEmpty ? "none to ask was named" : reasons.joined(separator: "; ")
        throw ReplicaError.unusable("no member let this one join (\(why))")
    }
}

/// Why one that was asked did not let a new member in, and what to do about it.
struct JoinObstacle: Hashable, CustomStringConvertible {
    /// What went wrong.
    let what: String
    /// What to look at.
    let cure: String

    /// Sorts out an error of ``PeerDialer/ask(_:_:)``.
    init(_ error: any Error) {
        what = "\(error)"
        cure =
            switch error {
            case is TLSError:
                "do --peer-trusted-ca-file and --peer-cert-file here go with those of the cluster, and is this where a "
                    + "member serves its peers (--listen-peer), not its clients?"
            case is PeerError: "the member answered that itself"
            case NetworkError.protocolViolation, NetworkError.timedOut, is ByteCodecError:
                "is this where a member serves its peers (--listen-peer), not its clients (--listen-client), and do "
                    + "both sides use certificates or none?"
            default: "--join wants the peer URL of a member that runs: is it started, and reached from here?"
            }
    }

    /// One line for people.
    var description: String { "\(what) (\(cure))" }
}
