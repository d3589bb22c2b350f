internal import MartletBase
internal import Synchronization

/// Wakes watches when it is time for a bookmark, or for their end. One task does so for all, while there are any: they
/// wait by the thousand, and a task or a timer of its own would take each of them more memory than the watch itself.
final class WatchClock: Sendable {
    private struct Alarm {
        var time: MonotonicTime
        var wake: @Sendable () -> Void
    }
    private struct State {
        var lastNumber: UInt64 = 0
        var alarms: [UInt64: Alarm] = [:]
        var isRunning = false
    }
    private let state = Mutex(State())
    private let world: any World

    init(in world: any World) { self.world = world }

    /// Calls `wake` at `time`, once, unless that is changed before. What is less than a tick away may come a tick later
    /// (``Limits/clockTicks``).
    /// - Returns: the alarm's number.
    func add(at time: MonotonicTime, _ wake: @escaping @Sendable () -> Void) -> UInt64 {
        let (number, starts) = state.withLock { state in
            state.lastNumber += 1
            state.alarms[state.lastNumber] = Alarm(time: time, wake: wake)
            defer { state.isRunning = true }
            return (state.lastNumber, !state.isRunning)
        }
        if starts {
            world.spawn {
                while let next = self.ring(), (try? await self.world.sleep(until: next)) != nil {}
            }
        }
        return number
    }

    /// Sets an alarm to another time, whether it has rung or not.
    func set(_ number: UInt64, to time: MonotonicTime) { state.withLock { $0.alarms[number]?.time = time } }

    func remove(_ number: UInt64) { state.withLock { $0.alarms[number] = nil } }

    /// Rings those whose time has come. Tells when to look again; nil when there are none: the next starts the clock.
    private func ring() -> MonotonicTime? {
        let now = world.now()
        let (due, next): ([Alarm], MonotonicTime?) = state.withLock { state in
            if state.alarms.isEmpty {
                state.isRunning = false
                return ([], nil)
            }
            var due: [UInt64] = []
            var next = now + Limits.clockTicks.longest
            for (number, alarm) in state.alarms {
                if alarm.time <= now { due.append(number) } else { next = min(next, alarm.time) }
            }
            // In the order in which they came, which does not hang on a hash.
            let alarms = due.sorted().compactMap { state.alarms[$0] }
            for number in due { state.alarms[number]?.time = .never }
            return (alarms, max(next, now + Limits.clockTicks.shortest))
        }
        for alarm in due { alarm.wake() }
        return next
    }
}

extension MonotonicTime {
    fileprivate static let never = MonotonicTime(nanoseconds: .max)
}
