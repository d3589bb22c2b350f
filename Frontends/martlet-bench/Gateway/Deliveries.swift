import Histogram
import MartletBase
import MartletIO
import Synchronization

/// When each creation was sent, and when each watch saw it.
final class Deliveries: Sendable {
    private struct State {
        var sent: [MonotonicTime?]
        var open = 0
        var events = 0
        var delays = Histogram<UInt64>(highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: .three)
        var start: MonotonicTime?
        var seconds = 0.0
        var serverCPU = 0.0
    }

    private let prefix: [UInt8]
    private let count: Int
    private let watches: Int
    private let world: Reactor
    private let state: Mutex<State>

    init(prefix: String, count: Int, watches: Int, world: Reactor) {
        self.prefix = Array("\"name\":\"\(prefix)".utf8)
        self.count = count
        self.watches = watches
        self.world = world
        state = Mutex(State(sent: Array(repeating: nil, count: count)))
    }

    var openWatches: Int { state.withLock { $0.open } }
    @Sendable func opened() { state.withLock { $0.open += 1 } }
    func begin() { state.withLock { $0.start = world.now() } }
    func sending(_ number: Int) {
        let now = world.now()
        state.withLock { $0.sent[number] = now }
    }
    func end(cpu: Double) {
        let now = world.now()
        state.withLock { state in
            state.seconds = state.start.map { Double((now - $0).nanoseconds) / 1e9 } ?? 0
            state.serverCPU = cpu
        }
    }

    fileprivate func saw(_ number: Int) {
        let now = world.now()
        state.withLock { state in
            guard state.sent.indices.contains(number), let sent = state.sent[number] else { return }
            state.events += 1
            _ = state.delays.record(min(UInt64(max(0, (now - sent).nanoseconds) / 1000), 120_000_000))
        }
    }

    func figures(_ title: String) -> Figures {
        let state = state.withLock { $0 }
        let events = Double(max(1, state.events))
        func delay(_ percentile: Double) -> Double { Double(state.delays.valueAtPercentile(percentile)) / 1000 }
        return Figures(
            title: title,
            values: [
                ("events/s", events / max(state.seconds, 1e-9)),
                ("server CPU us/event", state.serverCPU / events * 1e6),
                ("delay p50 ms", delay(50)), ("delay p99 ms", delay(99)),
                ("events missed", Double(count * watches) - Double(state.events)),
            ])
    }

    /// Reads one watch's stream: counts the creations, line by line, until all were seen.
    final class Reader: Sendable {
        private struct Line {
            var rest: [UInt8] = []
            var seen = 0
        }
        private let deliveries: Deliveries
        private let line = Mutex(Line())

        init(_ deliveries: Deliveries) { self.deliveries = deliveries }

        /// Takes the next piece; false when all were seen.
        func take(_ piece: [UInt8]) -> Bool {
            line.withLock { line in
                var start = piece.startIndex
                while let end = piece[start...].firstIndex(of: 10) {
                    if line.rest.isEmpty {
                        see(piece[start..<end], &line)
                    } else {
                        line.rest += piece[start..<end]
                        see(line.rest[...], &line)
                        line.rest.removeAll(keepingCapacity: true)
                    }
                    start = end + 1
                }
                line.rest += piece[start...]
                return line.seen < deliveries.count
            }
        }

        private func see(_ text: ArraySlice<UInt8>, _ line: inout Line) {
            guard text.count > 20, text[text.startIndex + 9] == UInt8(ascii: "A") else { return }
            // The name stands near the beginning.
            let head = text.prefix(400)
            let prefix = deliveries.prefix
            var index = head.startIndex
            while index + prefix.count < head.endIndex {
                if head[index..<index + prefix.count].elementsEqual(prefix) {
                    var number = 0
                    for byte in head[(index + prefix.count)...] {
                        guard byte >= 48, byte < 58 else { break }
                        number = number * 10 + Int(byte) - 48
                    }
                    line.seen += 1
                    deliveries.saw(number)
                    return
                }
                index += 1
            }
        }
    }
}
