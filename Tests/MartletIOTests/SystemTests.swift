import Glibc
import MartletBase
import Testing

@testable import MartletIO

@Suite struct SystemTests {
    @Test func `files are written whole, listed and removed`() async throws {
        try await withFolder { folder in
            try Files.makeDirectory("\(folder)/a/b/c")
            try Files.makeDirectory("\(folder)/a/b/c")
            try Files.write(Array("one".utf8), to: "\(folder)/a/file", mode: 0o600)
            try Files.write(Array("two".utf8), to: "\(folder)/a/file", mode: 0o640)
            #expect(try Files.read("\(folder)/a/file") == Array("two".utf8))
            var info = stat()
            #expect(stat("\(folder)/a/file", &info) == 0 && info.st_mode & 0o777 == 0o640)
            #expect(try Files.list("\(folder)/a") == ["b", "file"])
            #expect(symlink("/etc", "\(folder)/a/b/link") == 0)
            try Files.remove("\(folder)/a")
            #expect(!Files.exists("\(folder)/a") && Files.exists("/etc/passwd"))
            try Files.remove("\(folder)/a")
            #expect(throws: Errno.noEntry) { try Files.read("\(folder)/a/file") }
            #expect(throws: Errno.noEntry) { try Files.write([], to: "\(folder)/none/file") }
            #expect(try Files.list(folder) == [])
        }
    }

    @Test func `random numbers are given once, also those that were asked for together`() {
        var bits = RandomBits()
        let numbers = (0..<RandomBits.atOnce * 3).map { _ in bits.next() }
        #expect(Set(numbers).count == numbers.count)
        // Of some six thousand bits, about half are set.
        let set = numbers.reduce(0) { $0 + $1.nonzeroBitCount }
        #expect(abs(set - numbers.count * 32) < numbers.count * 4)
    }

    @Test func `a process knows what it uses`() throws {
        let stat = Array("42 (a) b) c) S 1 1 1 0 -1 4 0 0 0 0 250 50 0 0 20 0 9 0 1000 1 1\n".utf8)
        let boot = Array("cpu 1 2\nbtime 1700000000\nprocesses 3\n".utf8)
        let facts = try #require(ProcessFacts(stat: stat, boot: boot, ticks: 100))
        #expect(facts.cpuSeconds == 3 && facts.startSeconds == 1_700_000_010)
        for bad in ["", "42 (a", "42 (a) S 1", "no parentheses at all"] {
            #expect(ProcessFacts(stat: Array(bad.utf8), boot: boot, ticks: 100) == nil)
        }
        #expect(ProcessFacts(stat: stat, boot: [], ticks: 100) == nil)
        let own = try #require(System.use())
        #expect(own.residentBytes > 1 << 20 && own.descriptors > 0 && own.startSeconds > 1e9)
    }

    @Test func `freed memory is given back when a burst is over, and not again and again`() throws {
        let resident = try #require(System.residentBytes())
        #expect(resident > 1 << 20 && resident < System.memoryBytes())
        var freed = FreedMemory()
        func looks(_ megabytes: [Int64]) -> [Bool] { megabytes.map { freed.isMuch(unused: $0 << 20) } }
        #expect(looks([60, 70, 100, 123]) == [false, false, false, false])
        #expect(looks([124]) == [true])
        freed.gaveBack(unused: 80 << 20)
        #expect(looks(Array(repeating: 400, count: 5)).allSatisfy { !$0 })
        #expect(looks([400]) == [true])
        // It cannot be given back: it is not tried again.
        freed.gaveBack(unused: 400 << 20)
        #expect(looks(Array(repeating: 410, count: 60)).allSatisfy { !$0 })
        #expect(looks([100, 164]) == [false, true])
    }

    @Test func `a file is replaced, and its size is told`() async throws {
        try await withFolder { folder in
            try Files.replace(Array("first".utf8), at: "\(folder)/file")
            try Files.replace(Array("second".utf8), at: "\(folder)/file", mode: 0o600)
            #expect(try Files.read("\(folder)/file") == Array("second".utf8))
            #expect(try Files.size("\(folder)/file") == 6)
            #expect(try Files.list(folder) == ["file"])
            #expect(throws: Errno.noEntry) { try Files.size("\(folder)/none") }
            #expect(throws: Errno.noEntry) { try Files.replace([], at: "\(folder)/none/file") }
        }
    }

    @Test func `a folder in a folder in a folder, without end, is removed with few descriptors`() async throws {
        try await withFolder { folder in
            let levels = 5000
            var above = open(folder, O_RDONLY | O_DIRECTORY)
            for _ in 0..<levels {
                #expect(mkdirat(above, "deeper", 0o700) == 0)
                close(openat(above, "file", O_WRONLY | O_CREAT, 0o600))
                #expect(symlinkat("/etc", above, "link") == 0)
                let next = openat(above, "deeper", O_RDONLY | O_DIRECTORY)
                close(above)
                above = next
            }
            close(above)
            try Files.remove("\(folder)/deeper")
            #expect(try Files.list(folder) == ["file", "link"])
            #expect(Files.exists("/etc/passwd"))
        }
    }

    @Test func `a folder with more names than are held at once is removed`() async throws {
        try await withFolder { folder in
            try Files.makeDirectory("\(folder)/wide")
            for number in 0..<1000 { try Files.makeDirectory("\(folder)/wide/\(number)/x") }
            try Files.remove("\(folder)/wide")
            #expect(try Files.list(folder) == [])
            try Files.replace([], at: "\(folder)/file")
            try Files.remove("\(folder)/file/below")
            try Files.remove("\(folder)/file")
            #expect(try Files.list(folder) == [])
        }
    }

    // Mounts in a folder of its own; root only.
    @Test(.enabled(if: System.isRoot, "needs root to mount")) func `what is bound from the same device is not emptied`()
        async throws
    {
        try await withFolder { folder in
            try Files.makeDirectory("\(folder)/kept/inner")
            try Files.makeDirectory("\(folder)/tree/x/bound")
            #expect(mount("\(folder)/kept", "\(folder)/tree/x/bound", nil, UInt(MS_BIND), nil) == 0)
            #expect(throws: Errno(EBUSY)) { try Files.remove("\(folder)/tree") }
            #expect(throws: Errno(EBUSY)) { try Files.remove("\(folder)/tree/x/bound") }
            #expect(try Files.list("\(folder)/kept") == ["inner"])
            try Mounts.unmountAll(under: "\(folder)/tree")
            try Files.remove("\(folder)/tree")
            #expect(try Files.list(folder) == ["kept"])
        }
    }

    @Test func `mounts are read with their blanks, and strange lines are left out`() {
        let text = """
            36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue
            nonsense - line
            37 35 98:0 / /a\\134b rw - tmpfs none rw
            """
        #expect(
            Mounts.parse(Array(text.utf8)) == [
                Mounts.Entry(path: "/mnt two", type: "ext3", source: "/dev/root"),
                Mounts.Entry(path: "/a\\b", type: "tmpfs", source: "none"),
            ])
    }

    // Mounts in a folder of its own; root only.
    @Test(.enabled(if: System.isRoot, "needs root to mount")) func `mounts one over the other are all undone`()
        async throws
    {
        try await withFolder { folder in
            #expect(mount("none", folder, "tmpfs", 0, nil) == 0)
            try Files.makeDirectory("\(folder)/deep er/x")
            #expect(mount("none", "\(folder)/deep er/x", "tmpfs", 0, nil) == 0)
            #expect(mount("none", folder, "tmpfs", 0, nil) == 0)
            #expect(throws: Errno(EBUSY)) { try Files.remove(folder) }
            try Mounts.unmountAll(under: folder)
            #expect(try !Mounts.list().contains { $0.path.hasPrefix(folder) })
            #expect(throws: Errno.invalidArgument) { try Mounts.unmountAll(under: "/") }
        }
    }

    @Test func `a group is removed from every hierarchy that has it`() async throws {
        try await withFolder { root in
            try Files.makeDirectory("\(root)/cpu/martlet/pod/inner")
            try Files.makeDirectory("\(root)/memory/martlet")
            try Files.makeDirectory("\(root)/pids/other")
            try Cgroups.removeTree("/martlet/", root: root)
            #expect(!Files.exists("\(root)/cpu/martlet") && !Files.exists("\(root)/memory/martlet"))
            #expect(Files.exists("\(root)/pids/other"))
            #expect(throws: Errno.invalidArgument) { try Cgroups.removeTree("a/../..", root: root) }
            #expect(throws: Errno.invalidArgument) { try Cgroups.removeTree("/", root: root) }
        }
    }

    @Test func `the machine's facts are there`() {
        #expect(!System.hostname().isEmpty)
        #expect(System.memoryBytes() > 1 << 27)
        #expect(System.cpuCount() >= 1)
        #expect(System.bootID().count == 36)
        #expect(System.kernelVersion().contains("."))
        #expect(System.ipv4Addresses().contains { $0.address == "127.0.0.1" && $0.isLoopback })
        #expect(System.prettyName(osRelease: "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n") == "Debian GNU/Linux 12")
    }

    @Test func `the default route's address comes first, loopback last`() {
        let routes = """
            Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
            eth1 00000000 0102A8C0 0003 0 0 200 00000000 0 0 0
            eth0 00000000 0102A8C0 0003 0 0 100 00000000 0 0 0
            eth0 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
            """
        #expect(System.defaultInterface(routes: routes) == "eth0")
        #expect(System.defaultInterface(routes: "Iface\n") == nil)
        let names = ["lo", "eth1", "eth0"].map {
            System.InterfaceAddress(interface: $0, address: "10.0.0.1", isLoopback: $0 == "lo")
        }
        #expect(System.ordered(names, defaultInterface: "eth0").map(\.interface) == ["eth0", "eth1", "lo"])
    }

    @Test func `a signal is waited for, or kept until somebody waits; a cancelled wait ends`() async {
        let waiting = Task { await Signals.wait(for: [SIGUSR2]) }
        waiting.cancel()
        #expect(await waiting.value == 0)
        // The handler is in place now.
        kill(getpid(), SIGUSR2)
        #expect(await Signals.wait(for: [SIGUSR1, SIGUSR2]) == SIGUSR2)
        #expect(await Signals.wait(for: [SIGKILL]) == 0)
    }

    @Test func `a dropped reactor ends its thread when its tasks have ended`() async throws {
        func threads() throws -> Int {
            try Files.list("/proc/self/task").filter { task in
                (try? Files.read("/proc/self/task/\(task)/comm")) == Array("drop-me\n".utf8)
            }.count
        }
        do {
            let reactor = try Reactor(name: "drop-me")
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let stream = try await reactor.connect(to: listener.endpoint)
            await reactor.spawn { try? await reactor.sleep(for: .milliseconds(1)) }.value
            #expect(try threads() == 1)
            _ = stream
        }
        for _ in 0..<1000 where try threads() > 0 { usleep(1000) }
        #expect(try threads() == 0)
    }

    @Test func `the bench repeats the log's own writes bare`() async throws {
        try await withFolder(in: Files.isDirectory("/dev/shm") ? "/dev/shm" : "/tmp") { folder in
            let reactor = try Reactor()
            let load = LogBench.Load(appenders: 16, records: 2, bytes: 100, rounds: 5)
            let run = try await LogBench.appends(in: "\(folder)/log", load, in: reactor)
            #expect(run.latencies.count == 80)
            #expect(run.writes.reduce(0, +) >= 160 * 132)
            #expect(run.quantile(0.5) <= run.quantile(0.99))
            let bare = try LogBench.bareSyncs(in: folder, writes: run.writes)
            #expect(bare.latencies.count == run.writes.count)
            reactor.shutdown()
        }
    }
}
