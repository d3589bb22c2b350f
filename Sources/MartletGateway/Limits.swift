/// Every bound of the gateway, and what happens above it.
enum Limits {
    /// Reads in flight (watches and logs apart), of each of the two pools: the cluster's own and the others, as for
    /// the next two. Above it: 429 with Retry-After.
    static let readsInFlight = 400
    /// Writes in flight. Above it: 429 with Retry-After.
    static let writesInFlight = 200
    /// Watches, followed logs and streams (exec, port-forward) at one time. Above it: 429 with Retry-After.
    static let longRunning = 10_000
    /// Of every bound of a pool one part in this many is kept for users who hold little of it
    /// (``smallPart``): nobody alone fills a pool. For the others: 429 with Retry-After, as if it were full.
    static let reservedPart = 4
    /// One part in this many of a pool's bound is little.
    static let smallPart = 16
    /// Bytes of a request's body. Above it: 413.
    static let body = 3 * 1024 * 1024
    /// Bytes of the bodies that are being read, of each pool. Above it: 429 with Retry-After.
    static let bodiesBeingRead = 256 * 1024 * 1024
    /// How long a body may take to arrive. Then: 408.
    static let bodyPatience: Duration = .seconds(60)
    /// Bytes of the answers that are not yet sent, of each pool: those that are too long to be forgotten
    /// (``heldAnswer``), and pages of lists. Above it: 429 with Retry-After.
    static let answersBeingSent = 256 * 1024 * 1024
    /// Bytes of an answer whose request keeps its place until it is sent.
    static let heldAnswer = 64 * 1024
    /// Bytes of one page of a list, and one object more: the page ends with fewer objects than were asked for.
    static let page = 8 * 1024 * 1024
    /// Bytes of a list that are gathered before they are sent, and one object more. A longer answer is
    /// deflated for those who take that.
    static let listPiece = 128 * 1024
    /// Answers that are deflated at one time, each with a deflater of 260 KiB. Above it: answers go as they are.
    static let compressions = 64
    /// Bytes of a watch's events that are gathered before they are sent, and one event more: as many as a client that
    /// takes nothing makes the gateway hold.
    static let watchPiece = 16 * 1024
    /// Bytes that a connection holds of an event larger than ``watchPiece`` while it is sent, at most and beside the
    /// event itself: a batch of it, encrypted, twice. They are taken from ``answersBeingSent``, as is the event, once
    /// for all watches that share it, and before it is made.
    static let eventBuffers = 384 * 1024
    /// How long a watch waits for room for such an event. Then it ends with 429, inside its stream.
    static let watchPatience: Duration = .seconds(10)
    /// Time between two looks for that room.
    static let watchPause: Duration = .milliseconds(50)
    /// Objects read from the store at one time while a list is sent.
    static let listStep = 16
    /// Objects read from the store in one step of a list.
    static let listChunk = 500
    /// How often a write without a resourceVersion is decided anew after a conflict. Then: 409. Of those that arrive at
    /// once, one is done in each round.
    static let attempts = 64
    /// Levels of an object that is stored. JSON is read to 512: what is made around an object has room.
    static let objectDepth = 480
    /// Segments of a path. Above it: 404.
    static let pathSegments = 16
    /// Warning headers of one answer; the rest is dropped.
    static let warnings = 32
    /// Characters of one warning; the rest is cut.
    static let warningLength = 256
    /// Watch events kept serialised for the next watcher, and their bytes. The oldest give way.
    static let sharedEvents = 512
    /// Bytes of the events kept, with the objects as they are stored.
    static let sharedEventBytes = 32 * 1024 * 1024
    /// Rows of the request metrics. Above it: counted under `other`.
    static let metricRows = 4096
    /// Random tries for a free cluster IP or node port before every one is looked at in turn.
    static let allocationTries = 32
    /// Bytes of a node agent's error answer that are passed on.
    static let nodeError = 2048
    /// Time before the definitions of custom resources are followed anew after a failure.
    static let definitionsPause: Duration = .seconds(1)
    /// Time between two looks at the objects of a definition that is being deleted.
    static let cleaningPause: Duration = .seconds(1)
    /// Bytes of a node agent's refusal of a stream that are passed on.
    static let streamRefusal = 16 * 1024
    /// Bytes of a message that a client sends on the WebSocket of a watch or log, where it has nothing to say. Above
    /// it: the WebSocket is closed.
    static let webSocketMessage = 4096
    /// How long a client's last word is waited for after the last message of a watch or log.
    static let webSocketLinger: Duration = .seconds(2)
    /// How long nothing may move on a stream before it is ended; the kubelet's default.
    static let streamIdle: Duration = .seconds(4 * 3600)
    /// How long a client may take to close its side of a stream that has ended.
    static let streamFarewell: Duration = .seconds(5)
    /// Time between two bookmarks of a watch that asked for them.
    static let bookmarkInterval: Duration = .seconds(60)
    /// Time between two looks for watches that are to be woken: never less, so that many at many times cost little, and
    /// never more, so that one that comes is in time.
    static let clockTicks = (shortest: Duration.milliseconds(50), longest: Duration.seconds(1))
    /// How long a watch lives when it names no `timeoutSeconds`: this, and up to as much again.
    static let watchSeconds = 1800
    /// Parts into which the rules of one role are split when it is looked at for what its author may give away. Rules
    /// over the bound are such that nobody has, and so nobody but an administrator may write them.
    static let roleParts = 10_000
    /// Roles and bindings that are made in one transaction when a cluster begins.
    static let seededAtOnce = 64
    /// Bytes of a bearer token. A longer one is not good.
    static let token = 16 * 1024
    /// Tokens of service accounts that are remembered as signed by us. The least used ones are looked at anew.
    static let knownTokens = 4096
    /// Tokens of a token file. Above it: the file is refused.
    static let fileTokens = 10_000
    /// The shortest and the longest life of a token that a request asks for, in seconds.
    static let tokenSeconds: ClosedRange<Int64> = 600...(1 << 32)
    /// Objects of a kind that admission looks at (classes, quotas and limit ranges of a namespace). The rest is not
    /// looked at.
    static let admissionList = 1000
    /// How long a pod's token is good that says it is for about an hour: a year, as upstream.
    static let lenientTokenSeconds: Int64 = 365 * 24 * 3600
    /// Objects of one kind in a namespace that are read for one decision (the budgets of an eviction, the slices of a
    /// proxied service). Above it: 413.
    static let objectsOfDecision = 1000
}
