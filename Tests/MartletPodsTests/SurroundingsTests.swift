import FuzzSupport
import MartletBase
import MartletObject
import Testing

@testable import MartletPods

@Suite("Environment and volumes of a pod")
struct SurroundingsTests {
    static let surroundings = PodSurroundings(
        objects: [
            ConfigReference(.configMap, name: "c"): ["data": ["k": "v", "empty": ""], "binaryData": ["b": "AAE="]],
            ConfigReference(.secret, name: "s"): ["data": ["p": "c2VjcmV0"]],
        ], podIPs: ["10.0.0.2"], hostIPs: ["192.0.2.1"], nodeMilliCPU: 2000, nodeMemory: 1 << 30)

    static func spec(_ container: JSON, volumes: JSON = []) -> PodSpec {
        var container = container
        container["name"] = "web"
        return PodSpec([
            "metadata": ["name": "p", "namespace": "ns", "uid": "u", "labels": ["app": "x", "b": "say \"hi\""]],
            "spec": ["nodeName": "n1", "containers": [container], "volumes": volumes],
        ])
    }

    func environment(_ container: JSON) throws -> [String] {
        let spec = Self.spec(container)
        return try spec.environment(of: spec.containers[0], in: Self.surroundings).map { "\($0.name)=\($0.value)" }
    }

    @Test("Values come in order from envFrom and env, the last of a name wins, and $(VAR) is replaced")
    func order() throws {
        let variables = try environment([
            "envFrom": [["prefix": "C_", "configMapRef": ["name": "c"]]],
            "env": [
                ["name": "C_k", "value": "over"], ["name": "A", "value": "$(C_k)-$(NONE)-$$(C_k)-$("],
                ["name": "P", "valueFrom": ["secretKeyRef": ["name": "s", "key": "p"]]],
                ["name": "IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]],
                ["name": "L", "valueFrom": ["fieldRef": ["fieldPath": "metadata.labels['app']"]]],
                ["name": "CPU", "valueFrom": ["resourceFieldRef": ["resource": "limits.cpu"]]],
            ],
        ])
        #expect(
            variables == [
                "C_b=\u{0}\u{1}", "C_empty=", "C_k=over", "A=over-$(NONE)-$(C_k)-$(", "P=secret", "IP=10.0.0.2", "L=x",
                "CPU=2",
            ])
    }

    @Test("A token of the service account is a file beside the others")
    func token() throws {
        let volume: JSON = [
            "name": "t",
            "projected": [
                "sources": [
                    ["serviceAccountToken": ["path": "token", "expirationSeconds": 3607]],
                    ["serviceAccountToken": ["path": "vault", "audience": "vault"]],
                    ["configMap": ["name": "c", "items": [["key": "k", "path": "k"]]]],
                ]
            ],
        ]
        let spec = Self.spec([:], volumes: [volume])
        let own = TokenReference(audience: "", expirationSeconds: 3607)
        let vault = TokenReference(audience: "vault", expirationSeconds: 3600)
        #expect(spec.tokens == [own, vault])
        var surroundings = Self.surroundings
        #expect(throws: ConfigurationError.self) { try spec.files(of: spec.volumes[0], in: surroundings) }
        surroundings.tokens = [own: "abc", vault: "def"]
        let files = try spec.files(of: spec.volumes[0], in: surroundings)
        #expect(files.map(\.path) == ["k", "token", "vault"])
        #expect(files[1].bytes == Array("abc".utf8))
    }

    @Test("A missing object or key is named, unless it is optional")
    func missing() throws {
        let ref: (String, String, Bool) -> JSON = { name, key, optional in
            [
                "env": [
                    [
                        "name": "X",
                        "valueFrom": [
                            "configMapKeyRef": [
                                "name": .string(name), "key": .string(key), "optional": .bool(optional),
                            ]
                        ],
                    ]
                ]
            ]
        }
        #expect(throws: ConfigurationError("configmap \"none\" not found")) { try environment(ref("none", "k", false)) }
        #expect(throws: ConfigurationError("couldn't find key z in configmap ns/c")) {
            try environment(ref("c", "z", false))
        }
        #expect(try environment(ref("none", "k", true)) == [])
        #expect(try environment(ref("c", "z", true)) == [])
    }

    @Test("Command and arguments know the environment")
    func expansion() throws {
        let spec = Self.spec(["env": [["name": "A", "value": "1"]]])
        let values = try spec.environment(of: spec.containers[0], in: Self.surroundings)
        #expect(spec.expand(["x=$(A)", "$(B)"], with: values) == ["x=1", "$(B)"])
    }

    @Test("A volume's files come from keys, chosen items, fields, or all of them projected")
    func files() throws {
        let spec = Self.spec(
            [:],
            volumes: [
                ["name": "c", "configMap": ["name": "c"]],
                [
                    "name": "s",
                    "secret": ["secretName": "s", "defaultMode": 256, "items": [["key": "p", "path": "d/p"]]],
                ],
                [
                    "name": "d",
                    "downwardAPI": ["items": [["path": "l", "fieldRef": ["fieldPath": "metadata.labels"]]]],
                ],
                ["name": "p", "projected": ["sources": [["configMap": ["name": "c"]], ["secret": ["name": "s"]]]]],
            ])
        let files = try spec.volumes.map { try spec.files(of: $0, in: Self.surroundings) }
        #expect(files[0].map(\.path) == ["b", "empty", "k"] && files[0][0].bytes == [0, 1])
        #expect(files[1] == [VolumeFile(path: "d/p", bytes: Array("secret".utf8), mode: 0o400)])
        #expect(files[2].map { String(decoding: $0.bytes, as: UTF8.self) } == ["app=\"x\"\nb=\"say \\\"hi\\\"\""])
        #expect(files[3].map(\.path) == ["b", "empty", "k", "p"])
        #expect(spec.references.map(\.name) == ["c", "s"])
    }

    @Test("No path leaves its volume", arguments: ["../x", "/x", "a/../../x", "", "."])
    func escapes(path: String) {
        #expect(RelativePath.checked(path) == nil)
        let spec = Self.spec(
            [:],
            volumes: [
                ["name": "c", "configMap": ["name": "c", "items": [["key": "k", "path": .string(path)]]]]
            ])
        #expect(throws: ConfigurationError.self) { try spec.files(of: spec.volumes[0], in: Self.surroundings) }
    }

    @Test("A kind of volume that is not known is refused by name")
    func unsupported() {
        let spec = Self.spec([:], volumes: [["name": "n", "nfs": ["server": "x"]]])
        #expect(spec.volumes[0].source == .unsupported("nfs"))
    }

    @Test("Resources become shares, quota and a class of service")
    func resources() {
        let limits: JSON = ["cpu": "500m", "memory": "64Mi"]
        let spec = Self.spec(["resources": ["limits": limits]])
        let needs = spec.containers[0].resources
        #expect(needs.cpuShares == 512 && needs.cpuQuota == 50_000 && needs.memoryLimit == 64 << 20)
        #expect(spec.qosClass == "Guaranteed")
        #expect(Self.spec([:]).qosClass == "BestEffort")
        let burstable = Self.spec(["resources": ["requests": ["memory": "256Mi"]]])
        #expect(burstable.qosClass == "Burstable")
        #expect(burstable.oomScoreAdjustment(of: burstable.containers[0], memoryCapacity: 1 << 30) == 750)
    }
}

@Suite("Logs of a container")
struct LogTests {
    static let file = """
        2026-01-01T00:00:00.000000001Z stdout F one
        2026-01-01T00:00:01.000000001Z stdout P two-
        2026-01-01T00:00:01.000000002Z stderr F oops
        2026-01-01T00:00:01.000000003Z stdout F two
        2026-01-01T00:00:02.000000001Z stdout F \n
        """

    static func read(_ options: LogOptions = LogOptions(), file: String = file, pieces: Int = 1000) -> String {
        var reader = LogReader(options) { $0 >= "2026-01-01T00:00:01" || options.since == nil }
        var output: [UInt8] = []
        let bytes = Array(file.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            output += reader.feed(Array(bytes[start..<min(bytes.count, start + pieces)]))
        }
        return String(decoding: output, as: UTF8.self)
    }

    @Test("Lines are printed without their heads, parts joined, however the bytes arrive", arguments: [1, 2, 7, 1000])
    func plain(pieces: Int) {
        #expect(Self.read(pieces: pieces) == "one\ntwo-oops\ntwo\n\n")
    }

    @Test("Times, a start and a limit are honoured")
    func options() {
        var options = LogOptions()
        options.timestamps = true
        #expect(Self.read(options).hasPrefix("2026-01-01T00:00:00.000000001Z one\n"))
        options = LogOptions()
        options.since = 1
        #expect(Self.read(options) == "two-oops\ntwo\n\n")
        options = LogOptions()
        options.limitBytes = 6
        #expect(Self.read(options) == "one\ntw")
        options = LogOptions()
        options.onlyErrors = true
        #expect(Self.read(options) == "oops\n")
        options.onlyErrors = false
        #expect(Self.read(options) == "one\ntwo-two\n\n")
    }

    @Test("The last lines are found from the end, parts not counted", arguments: 0...6)
    func tail(lines: Int) {
        let bytes = Array(Self.file.utf8)
        let offset = LogReader.tailOffset(size: bytes.count, lines: lines) { Array(bytes[$0]) }
        let rest = Self.read(file: String(decoding: bytes[offset...], as: UTF8.self))
        let whole = ["\n", "two\n\n", "two-oops\ntwo\n\n", "one\ntwo-oops\ntwo\n\n"]
        #expect(rest == (lines == 0 ? "" : lines == 2 ? "two\n\n" : whole[min(lines, 4) - 1]))
    }

    @Test("A file larger than one block is read backwards the same way")
    func longTail() {
        let lines = (0..<5000).map {
            "2026-01-01T00:00:00.000000001Z stdout F line \($0) \(String(repeating: "x", count: $0 % 97))\n"
        }
        let bytes = Array(lines.joined().utf8)
        for count in [1, 100, 1500, 4999, 5000, 9999] {
            let offset = LogReader.tailOffset(size: bytes.count, lines: count) { Array(bytes[$0]) }
            let expected = lines.suffix(count).joined().utf8.count
            #expect(bytes.count - offset == expected, "\(count)")
        }
    }

    @Test("An endless line is dropped and the next is printed")
    func endless() {
        var reader = LogReader(LogOptions())
        #expect(reader.feed(Array("2026-01-01T00:00:00.000000001Z stdout F ".utf8)) == [])
        for _ in 0..<20 { #expect(reader.feed([UInt8](repeating: 0x78, count: 100_000)) == []) }
        #expect(reader.feed(Array("\n2026-01-01T00:00:00.000000001Z stdout F a\n".utf8)) == Array("a\n".utf8))
    }

    @Test("10,000 damaged files are read without a trap, and never give more than they hold")
    func fuzz() {
        var random = SplitMix64(seed: Fuzz.seed(0x10_6))
        let good = Array(Self.file.utf8)
        for _ in 0..<Fuzz.runs(10_000) {
            var bytes = good
            for _ in 0..<(1 + random.next() % 6) where !bytes.isEmpty {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert([0x20, 0x0a, 0x50, 0x46][Int(random.next() % 4)], at: at)
                default: bytes = Array(bytes[..<max(1, at)])
                }
            }
            var reader = LogReader(LogOptions())
            #expect(reader.feed(bytes).count <= bytes.count)
            let lines = Int(random.next() % 7)
            let offset = LogReader.tailOffset(size: bytes.count, lines: lines) { Array(bytes[$0]) }
            #expect((0...bytes.count).contains(offset))
        }
    }
}
