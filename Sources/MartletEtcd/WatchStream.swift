internal import DequeModule
internal import MartletHTTP
internal import MartletStore

/// One watch. Lives in the hub.
final class Watcher {
    let id: Int64
    /// The id as it stands in each response.
    let mark: [UInt8]
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
        mark = WatchMessages.mark(id)
        self.stream = stream
        call = stream.call
        self.group = group
        variant = options.variant
        fragments = options.fragments
        notifiesProgress = options.notifiesProgress
        self.after = after
    }

    /// What it is to be sent next.
    var need: WatchNeed { WatchNeed(group: group, variant: variant, fragments: fragments, after: after) }
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
    /// What the last of them was sent: the next one mostly wants the same.
    var part: WatchPart?
    /// The client wants to know when all its watches have seen this revision; 0: it does not.
    var progressAsked: Int64 = 0

    init(_ call: GRPCServerCall, id: UInt64) {
        self.call = call
        self.id = id
    }
}

/// What a watch is to be sent next.
struct WatchNeed {
    let group: WatchGroup
    let variant: WatchVariant
    /// Whether a large revision may be divided.
    let fragments: Bool
    /// All through this revision was sent.
    let after: Int64

    static func == (left: WatchNeed, right: WatchNeed) -> Bool {
        left.after == right.after && left.group === right.group && left.variant == right.variant
            && left.fragments == right.fragments
    }
}

/// A part of the history as it is sent to all watches of a stream that need the same.
struct WatchPart {
    let need: WatchNeed
    /// What those have seen then who get it.
    private(set) var through: Int64
    /// The responses without a watch's id: none, one, or one revision in fragments.
    private(set) var messages: [[UInt8]] = []

    /// The part that is needed of `events`, which are all changes of the range through `through`. It ends where a
    /// message of about `limit` bytes is full, but never within a revision.
    init(_ need: WatchNeed, of events: [StoreEvent], through: Int64, _ header: Header, limit: Int) {
        self.need = need
        self.through = through
        var (start, size) = (0, 0)
        var revision: Int64 = 0
        for (index, event) in events.enumerated() where need.variant.admits(event) {
            let next = WatchMessages.size(event, need.variant)
            if size > 0, size + next > limit {
                if event.pair.modRevision != revision {
                    // The rest is for the next part.
                    self.through = event.pair.modRevision - 1
                    append(events[start..<index], header, isFragment: false)
                    return
                }
                if need.fragments {
                    append(events[start..<index], header, isFragment: true)
                    (start, size) = (index, 0)
                }
            }
            size += next
            revision = event.pair.modRevision
        }
        append(events[start...], header, isFragment: false)
    }

    private mutating func append(_ events: ArraySlice<StoreEvent>, _ header: Header, isFragment: Bool) {
        let message = WatchMessages.shared(header, events, need.variant, isFragment: isFragment)
        if !message.isEmpty { messages.append(message) }
    }
}
