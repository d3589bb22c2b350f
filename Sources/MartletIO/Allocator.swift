internal import CMartletLinux
internal import Glibc

/// glibc's malloc, as a daemon wants it.
public enum Allocator {
    private static let variable = "GLIBC_TUNABLES"
    /// What the variable was before, while the program starts anew.
    private static let before = "MARTLET_GLIBC_TUNABLES"
    /// A thread's cache holds 7 freed pieces of each size where nothing is said. A store allocates and frees hundreds
    /// at a time, and all but those 7 go the long way: a tenth of its CPU.
    private static let wanted = "glibc.malloc.tcache_count=2000"

    /// Starts this program anew, in the same process, with settings of malloc that suit a store; returns when it has
    /// been started so, or cannot be. To be called before anything is begun.
    ///
    /// glibc takes the settings from the environment alone, when a program starts. They are taken out of the
    /// environment again, so that children do not inherit them.
    public static func keepFreedMemoryAtHand() {
        let set = getenv(variable).map { String(cString: $0) } ?? ""
        if let old = getenv(before).map({ String(cString: $0) }) {
            restore(old)
            unsetenv(before)
            return
        }
        // A user's own choice stands.
        guard !set.contains("glibc.malloc."), let program = realpath("/proc/self/exe", nil) else { return }
        setenv(before, set, 1)
        setenv(variable, "\(set.isEmpty ? "" : set + ":")\(wanted)", 1)
        execv(program, CommandLine.unsafeArgv)
        // The program's file is gone, or may not be run again: it goes on as it is.
        free(program)
        restore(set)
        unsetenv(before)
    }

    /// Gives freed memory back to the machine, for one who has freed much and rests. Others may wait for memory
    /// meanwhile, some milliseconds.
    public static func giveBack() { cml_trim() }

    /// Gives freed memory back whenever there is much of it (``FreedMemory``), from a thread of its own and until the
    /// process ends. Nothing happens where there can be no thread.
    public static func giveBackFromNowOn() {
        try? Threads.start(name: "martlet-memory") {
            var freed = FreedMemory()
            while true {
                sleep(FreedMemory.interval)
                guard let unused = unused(), freed.isMuch(unused: unused) else { continue }
                giveBack()
                if let unused = Self.unused() { freed.gaveBack(unused: unused) }
            }
        }
    }

    /// Bytes in memory that malloc has not given out: what was freed, code, stacks, files.
    private static func unused() -> Int64? { System.residentBytes().map { $0 - Int64(cml_allocated()) } }

    private static func restore(_ tunables: String) {
        if tunables.isEmpty { unsetenv(variable) } else { setenv(variable, tunables, 1) }
    }
}

/// Decides when a process gives freed memory back, by what it has in memory and does not use. malloc keeps what was
/// freed for the next who wants it; after a burst (clients that read nothing, large bodies) that may be most of it.
struct FreedMemory: Sendable {
    /// Seconds between two looks.
    static let interval: UInt32 = 2
    /// Bytes over the least so far that are worth it.
    static let worth: Int64 = 64 << 20
    /// Looks between two times: what a load takes and frees again and again is not given back each time.
    static let pause = 5

    private var least = Int64.max
    private var looks = FreedMemory.pause

    /// Whether there is much.
    mutating func isMuch(unused: Int64) -> Bool {
        least = min(least, unused)
        looks += 1
        return looks > Self.pause && unused - least >= Self.worth
    }

    /// It was given back; so much is left.
    mutating func gaveBack(unused: Int64) {
        least = unused
        looks = 0
    }
}
