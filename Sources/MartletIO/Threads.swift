internal import CMartletLinux
internal import Glibc
internal import MartletBase

/// Threads of our own, for what must not run on a pool.
enum Threads {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a detached thread. Its name is cut to 15 bytes.
    /// - Throws: `Errno` of pthread_create(3).
    static func start(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
        let context = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { unsafeContext in
                guard let unsafeContext else { return nil }
                let start = Unmanaged<Start>.fromOpaque(unsafeContext).takeRetainedValue()
                cml_thread_name(start.name)
                start.body()
                return nil
            }, context.toOpaque())
        guard status == 0 else {
            context.release()
            throw Errno(status)
        }
        pthread_detach(thread)
    }
}

/// The clocks of this machine.
enum Clocks {
    static func monotonic() -> MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    static func wall() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
