internal import MartletBase

/// How edges and ingresses begin: who comes before they know anything waits for a moment.
enum Arriving {
    /// How long a request waits for the first look at the API.
    static let patience = Duration.seconds(2)
    /// How often it is looked whether that is over.
    private static let lookEvery = Duration.milliseconds(10)

    /// What `look` gives as soon as it gives something; nil when that takes too long, or the task is cancelled.
    static func known<Value>(in world: any World, atMost limit: Duration? = nil, _ look: () -> Value?) async -> Value? {
        let end = limit.map { world.now() + $0 }
        while true {
            if let value = look() { return value }
            if let end, world.now() >= end { return nil }
            guard (try? await world.sleep(for: lookEvery)) != nil else { return nil }
        }
    }
}

/// How edges and ingresses end so that nobody misses them.
enum Leaving {
    /// How long saying so may take where nobody answers.
    static let farewell = Duration.seconds(1)
    /// How long those are still served who do not know yet, or whose connections are between two requests. A
    /// busy edge hears of it late, and what it cannot send twice must not meet the end.
    static let settle = Duration.seconds(2)
    /// How long requests in flight, and connections that were upgraded, may go on.
    static let grace = Duration.seconds(5)
}
