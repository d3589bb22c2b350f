import MartletBase
import Testing

@testable import MartletIO

#if canImport(Glibc)
import Glibc
#endif

func closeDescriptor(_ fd: Int32) { close(fd) }

@Suite struct TimerTests {
    private actor Order {
        var names: [Int] = []
        func add(_ name: Int) { names.append(name) }
    }

    @Test func `sleeps end in the order of their deadlines, not before them`() async throws {
        try await onReactor { reactor in
            let order = Order()
            let start = reactor.now()
            await withTaskGroup(of: Void.self) { group in
                for number in [5, 1, 4, 2, 3] {
                    group.addTask {
                        let deadline = start + .milliseconds(10 * number)
                        try? await reactor.sleep(until: deadline)
                        #expect(reactor.now() >= deadline)
                        await order.add(number)
                    }
                }
            }
            #expect(await order.names == [1, 2, 3, 4, 5])
        }
    }

    @Test func `a cancelled sleep ends at once`() async throws {
        try await onReactor { reactor in
            let task = Task(executorPreference: reactor.executor) { try await reactor.sleep(for: .seconds(3600)) }
            try await reactor.sleep(for: .milliseconds(2))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    private final class Mark: Timer, @unchecked Sendable {}

    @Test func `the heap gives timers back sorted, whatever is removed between`() {
        var random = SplitMix(seed: 42)
        for _ in 0..<200 {
            var heap = TimerHeap()
            var marks: [Mark] = []
            for _ in 0..<Int(random.next() % 64) {
                let mark = Mark(deadline: MonotonicTime(nanoseconds: random.next() % 16))
                marks.append(mark)
                heap.insert(mark)
            }
            var kept: [Mark] = []
            for mark in marks {
                if random.next() % 3 == 0 { heap.remove(mark) } else { kept.append(mark) }
            }
            // A stable sort keeps the order of arrival among equal deadlines, as the heap must.
            let expected = kept.enumerated().sorted {
                ($0.element.deadline, $0.offset) < ($1.element.deadline, $1.offset)
            }
            for (_, mark) in expected { #expect(heap.popExpired(at: MonotonicTime(nanoseconds: 99)) === mark) }
            #expect(heap.isEmpty)
        }
    }

    @Test func `tasks, child tasks and actors of a world run on its one thread`() async throws {
        try await onReactor { reactor in
            let home = pthread_self()
            let order = Order()
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        #expect(pthread_equal(pthread_self(), home) != 0)
                        await order.add(number)
                        try? await reactor.sleep(for: .microseconds(number))
                        #expect(pthread_equal(pthread_self(), home) != 0)
                    }
                }
            }
            #expect(await order.names.count == 100)
        }
    }

    @Test func `a refused ring names its cause`() {
        let off = ReactorError(ringError: .notPermitted, disabled: "2\n").description
        #expect(off.contains("kernel.io_uring_disabled is 2"))
        #expect(ReactorError(ringError: .notPermitted, disabled: "0\n").description.contains("seccomp"))
        #expect(ReactorError(ringError: Errno(ENOSYS), disabled: nil).description.contains("no io_uring"))
        #expect(ReactorError(ringError: Errno(ENOMEM), disabled: "0").description.contains("RLIMIT_MEMLOCK"))
    }
}

/// A small seeded generator (SplitMix64), so that a failing run can be run again.
struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
