internal import DequeModule
internal import MartletHTTP
internal import MartletStore

/// One watch. Lives in the hub.
final class Watcher {
    let id: Int64
    unowned let stream: WatchStream
    /// The stream's call, at hand for each event.
    let call: GRPCServerCall
    let group: WatchGroup
    let variant: WatchVariant
    let fragments: Bool
    let notifiesProgress: Bool
    /// All changes through this revision were sent, or are not wanted.
    var after: Int64
    /// The place among the live watches of its kind; -1 while it is not live and reads from the history.
    var place = -1
    /// Whether nothing was sent since the clock last told of progress.
    var isQuiet = true
    var isOver = false

    init(_ options: WatchOptions, id: Int64, after: Int64, group: WatchGroup, stream: WatchStream) {
        self.id = id
        self.stream = stream
        call = stream.call
        self.group = group
        variant = options.variant
        fragments = options.fragments
        notifiesProgress = options.notifiesProgress
        self.after = after
    }
}

/// The watches of one range.
final class WatchGroup {
    let range: KeyRange
    /// The live ones, by what they want to see.
    var live: [WatchVariant: [Watcher]] = [:]
    /// All, live or not.
    var count = 0
    /// What the batch under way holds for them.
    var events: [StoreEvent] = []

    init(_ range: KeyRange) { self.range = range }

    func join(_ watcher: Watcher) {
        watcher.place = live[watcher.variant]?.count ?? 0
        live[watcher.variant, default: []].append(watcher)
    }

    func leave(_ watcher: Watcher) {
        let place = watcher.place
        guard place >= 0, let count = live[watcher.variant]?.count else { return }
        watcher.place = -1
        if place != count - 1, let last = live[watcher.variant]?[count - 1] {
            live[watcher.variant]?[place] = last
            last.place = place
        }
        live[watcher.variant]?.removeLast()
        if count == 1 { live[watcher.variant] = nil }
    }
}

/// A client's stream of watches. Lives in the hub.
final class WatchStream {
    let call: GRPCServerCall
    let id: UInt64
    var watchers: [Int64: Watcher] = [:]
    /// The next id that the server gives.
    var nextID: Int64 = 0
    /// Those that read from the history, in the order of their turns.
    var lagging: Deque<Watcher> = []
    var catchesUp = false
    /// The client wants to know when all its watches have seen this revision; 0: it does not.
    var progressAsked: Int64 = 0

    init(_ call: GRPCServerCall, id: UInt64) {
        self.call = call
        self.id = id
    }
}
