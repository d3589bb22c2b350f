public import HTTPTypes
public import MartletBase

/// Passes on the plain requests of one connection, without a task: says for each where it goes. Called on the world's
/// thread only.
///
/// It is a short cut, never a way of its own: whatever it does not take, and whatever turns out not to be plain on the
/// way, goes to ``RequestHandler/handle(_:)`` with its bytes untouched.
public protocol PlainWay: AnyObject, Sendable {
    /// Where a request goes; nil to have it handled.
    /// - Parameters:
    ///   - now: the time.
    ///   - lines: gets the field lines that are sent on behind the request's own, each with its end.
    func choose(_ request: PlainRequest, at now: MonotonicTime, adding lines: inout [UInt8]) -> PlainChoice?

    /// A request has had its answer, or as much of it as came.
    func answered(_ choice: PlainChoice, _ report: PlainReport)
}

/// What became of a plain request.
public struct PlainReport: Sendable {
    /// The answer's status.
    public let status: Int
    /// Bytes of the answer's body that were handed on, without what frames them.
    public let bytes: Int
    /// Whether the answer ended before its time.
    public let isBroken: Bool
    /// From the request's head until the answer began.
    public let waited: Duration
    /// From the request's head to the last byte of the answer.
    public let took: Duration
}

/// Where a plain request goes.
public struct PlainChoice: Sendable {
    /// Who answers.
    public var endpoint: Endpoint
    /// Has the connections to it. One that is kept and fresh is used; when there is none the request is handled.
    public var client: HTTPClient
    /// How long the answer may take to begin. It is looked at once a second at most, and so is the next.
    public var answerLimit: Duration
    /// How long the answer may pause.
    public var bodyLimit: Duration
    /// Whose request it is, for ``PlainWay/answered(_:_:)``.
    public var origin: any AnyObject & Sendable

    /// A choice from its parts.
    public init(
        endpoint: Endpoint, client: HTTPClient, answerLimit: Duration, bodyLimit: Duration,
        origin: any AnyObject & Sendable
    ) {
        self.endpoint = endpoint
        self.client = client
        self.answerLimit = answerLimit
        self.bodyLimit = bodyLimit
        self.origin = origin
    }
}

/// A request that was passed on already, by a ``PlainWay``, and whose answer is not plain: whoever handles the request
/// takes it as the first try.
public final class BegunExchange: HTTPSender {
    /// Who was asked.
    public let endpoint: Endpoint
    /// When the request had come.
    public let began: MonotonicTime
    private let client: HTTPClient
    /// Nil when the answer did not come in time.
    private let connection: ClientConnection?

    init(_ choice: PlainChoice, began: MonotonicTime, _ connection: ClientConnection?) {
        endpoint = choice.endpoint
        client = choice.client
        self.began = began
        self.connection = connection
    }

    /// The answer to the request that was sent already. Once.
    public func send(_ head: HTTPRequest, body: RequestBody, trailers: Trailers?) async throws -> ClientResponse {
        guard let connection else { throw NetworkError.timedOut("the answer") }
        return try await client.answer(on: connection, to: head.method)
    }

    /// Nothing is kept here.
    public func close() {}
}
