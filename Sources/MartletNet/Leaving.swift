internal import MartletBase

/// How edges and ingresses end so that nobody misses them.
enum Leaving {
    /// How long saying so may take where nobody answers.
    static let farewell = Duration.seconds(1)
    /// How long those are still served who do not know yet, or whose connections are between two requests.
    static let settle = Duration.seconds(1)
    /// How long requests in flight, and connections that were upgraded, may go on.
    static let grace = Duration.seconds(5)
}
