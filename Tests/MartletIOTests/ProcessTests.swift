import Glibc
import MartletBase
import Testing

@testable import MartletIO

@Suite struct ProcessTests {
    @Test func `output, errors, exit code and input are those of the program`() async throws {
        try await onReactor { reactor in
            let result = try await ChildProcess.run(
                "sh", ["-c", "cat; echo wrong >&2; exit 3"], input: Array("given".utf8), in: reactor)
            #expect(result.status == 3)
            #expect(result.output == Array("given".utf8))
            #expect(result.errors == Array("wrong\n".utf8))
        }
    }

    @Test func `environment and directory are what was asked for`() async throws {
        try await onReactor { reactor in
            let child = try ChildProcess(
                "/bin/sh", ["-c", "echo $COLOUR $HOME; pwd"], environment: ["COLOUR": "blue"], directory: "/usr",
                output: .collect(limit: 1000), in: reactor)
            #expect(await child.wait().output == Array("blue\n/usr\n".utf8))
        }
    }

    @Test func `output over the limit is dropped and the child still ends`() async throws {
        try await onReactor { reactor in
            let child = try ChildProcess(
                "/bin/sh", ["-c", "head -c 1000000 /dev/zero; echo end >&2"], output: .collect(limit: 100),
                errors: .collect(limit: 100), in: reactor)
            let result = await child.wait()
            #expect(result.status == 0)
            #expect(result.output == [UInt8](repeating: 0, count: 100))
            #expect(result.errors == Array("end\n".utf8))
            #expect(await child.wait().status == 0)
        }
    }

    @Test func `a missing program, a folder and a file that is no program are refused with their errno`() async throws {
        try await onReactor { reactor in
            #expect(throws: Errno.noEntry) { try ChildProcess("/nowhere/at-all", [], in: reactor) }
            #expect(throws: Errno.noEntry) { try ChildProcess("no-such-program-anywhere", [], in: reactor) }
            #expect(throws: Errno.accessDenied) { try ChildProcess("/etc/passwd", [], in: reactor) }
            #expect(throws: Errno.noEntry) { try ChildProcess("/bin/true", [], directory: "/nowhere", in: reactor) }
        }
    }

    @Test func `a killed child says so, and signals after the end go nowhere`() async throws {
        try await onReactor { reactor in
            let child = try ChildProcess("/bin/sleep", ["1000"], in: reactor)
            child.signal(15)
            #expect(await child.wait().status == 128 + 15)
            child.signal(9)
            child.signalGroup(9)
        }
    }

    @Test func `the timeout kills the whole group`() async throws {
        try await onReactor { reactor in
            let start = reactor.now()
            let result = try await ChildProcess.run(
                "sh", ["-c", "sleep 1000 & echo started; wait"], timeout: .milliseconds(100), in: reactor)
            #expect(result.status == 137)
            #expect(result.output == Array("started\n".utf8))
            #expect(reactor.now() - start < .seconds(20))
        }
    }

    @Test func `a child sees only its three descriptors`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let result = try await ChildProcess.run("ls", ["/proc/self/fd"], in: reactor)
            // The fourth is the folder that ls reads.
            #expect(result.output == Array("0\n1\n2\n3\n".utf8))
            listener.close()
        }
    }

    @Test func `output that a grandchild holds open does not hold up the end`() async throws {
        try await onReactor { reactor in
            let result = try await ChildProcess.run("sh", ["-c", "sleep 5 & echo done"], in: reactor)
            #expect(result.output == Array("done\n".utf8))
            #expect(result.status == 0)
        }
    }

    @Test func `the end of a child ends what is left of its group, where that was asked for`() async throws {
        try await onReactor { reactor in
            let child = try ChildProcess(
                "/bin/sh", ["-c", "sleep 1000 & echo $!"], output: .collect(limit: 100), endsGroup: true, in: reactor)
            let left = String(decoding: await child.wait().output.dropLast(), as: UTF8.self)
            #expect(Int32(left) != nil)
            let patience = reactor.now() + .seconds(20)
            while Self.runs(left), reactor.now() < patience { try await reactor.sleep(for: .milliseconds(1)) }
            #expect(!Self.runs(left))
        }
    }

    private static func runs(_ pid: String) -> Bool {
        let stat = String(decoding: (try? Files.read("/proc/\(pid)/stat")) ?? [], as: UTF8.self)
        return !stat.isEmpty && !stat.contains(") Z ")
    }

    @Test func `a child has the limit of descriptors that we had, not the raised one`() async throws {
        var limit = rlimit()
        #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        let hard = limit.rlim_max
        limit.rlim_cur = hard - 1
        #expect(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        #expect(try System.raiseDescriptorLimit() == Int(hard))
        #expect(try System.raiseDescriptorLimit() == Int(hard))
        try await onReactor { reactor in
            let result = try await ChildProcess.run("sh", ["-c", "ulimit -Sn; ulimit -Hn"], in: reactor)
            #expect(String(decoding: result.output, as: UTF8.self) == "\(hard - 1)\n\(hard)\n")
        }
    }

    @Test func `output is appended to a file of ours only`() async throws {
        let folder = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(folder) }
        try await onReactor { reactor in
            for word in ["one", "two"] {
                let child = try ChildProcess("/bin/echo", [word], output: .file("\(folder)/log"), in: reactor)
                #expect(await child.wait().status == 0)
            }
            #expect(try Files.read("\(folder)/log") == Array("one\ntwo\n".utf8))
        }
    }

    @Test func `a hundred children at once all end`() async throws {
        try await onReactor { reactor in
            let sum = try await withThrowingTaskGroup(of: Int32.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        try await ChildProcess.run("/bin/sh", ["-c", "exit \(number)"], in: reactor).status
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(sum == 4950)
        }
    }
}
