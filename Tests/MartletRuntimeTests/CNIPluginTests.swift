import FuzzSupport
import MartletBase
import MartletCNI
import MartletObject
import Testing

@Suite struct CNIPluginTests {
    typealias Action = CNIPlugin.Action

    let environment = [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/usr/lib/cni", "HOME": "/root",
    ]
    let config: JSON = [
        "cniVersion": "1.0.0", "name": "martlet", "type": "martlet-cni", "podCIDRs": ["10.244.3.0/24"], "mtu": 1450,
        "dataDir": "/data/cni",
    ]

    private func plugin(_ command: String = "ADD", _ changes: JSON = [:]) -> CNIPlugin {
        var variables = environment
        variables["CNI_COMMAND"] = command
        var json = config
        for (key, value) in changes.members { json[key] = value }
        return CNIPlugin(environment: variables, input: json.encoded())
    }

    private func call(_ action: Action) throws -> (call: CNIPlugin.Call, config: JSON) {
        guard case .run(let call) = action else {
            Issue.record("not a run: \(action)")
            throw CNIError(code: 0, message: "")
        }
        return (call, try JSON(parsing: call.input))
    }

    /// The answer and the exit status; code and text of an error.
    private func answer(_ action: Action) throws -> (json: JSON, status: Int32) {
        guard case .finish(let output, let status) = action else {
            Issue.record("not finished: \(action)")
            throw CNIError(code: 0, message: "")
        }
        return (output.isEmpty ? .null : try JSON(parsing: output), status)
    }

    private let mappings: JSON = [
        "runtimeConfig": ["portMappings": [["hostPort": 8080, "containerPort": 80, "protocol": "tcp"]]]
    ]
    private let result = Array(#"{"cniVersion":"1.0.0","ips":[{"address":"10.244.3.2/24"}]}"#.utf8)

    @Test func `A pod without host ports gets the bridge, and the bridge's result is the answer`() throws {
        var plugin = plugin()
        let bridge = try call(plugin.step(.begin))
        #expect(bridge.call.plugin == "bridge" && bridge.call.environment["CNI_COMMAND"] == "ADD")
        #expect(bridge.call.environment["CNI_CONTAINERID"] == "c1" && bridge.call.environment["HOME"] == nil)
        #expect(bridge.config["bridge"] == "martlet0" && bridge.config["isGateway"] == true)
        #expect(bridge.config["hairpinMode"] == true && bridge.config["ipMasq"] == true)
        #expect(bridge.config["mtu"] == 1450 && bridge.config["forceAddress"] == true)
        #expect(bridge.config["ipam", "type"] == "host-local")
        #expect(bridge.config["ipam", "dataDir"] == "/data/cni/networks")
        #expect(bridge.config["ipam", "ranges"]?[0]?[0]?["subnet"] == "10.244.3.0/24")
        #expect(plugin.step(.ran(status: 0, output: result)) == .finish(output: result, status: 0))
    }

    @Test func `Host ports are mapped with the bridge's result`() throws {
        var plugin = plugin("ADD", mappings)
        _ = plugin.step(.begin)
        let ports = try call(plugin.step(.ran(status: 0, output: result)))
        #expect(ports.call.plugin == "portmap")
        #expect(ports.config["prevResult", "ips"]?[0]?["address"] == "10.244.3.2/24")
        #expect(ports.config["runtimeConfig", "portMappings"]?[0]?["hostPort"] == 8080)
        #expect(plugin.step(.ran(status: 0, output: result)) == .finish(output: result, status: 0))
    }

    @Test func `When the ports cannot be mapped the bridge is undone, and the first fault is told`() throws {
        var plugin = plugin("ADD", mappings)
        _ = plugin.step(.begin)
        _ = plugin.step(.ran(status: 0, output: result))
        let undo = try call(plugin.step(.ran(status: 1, output: Array(#"{"code":11,"msg":"port taken"}"#.utf8))))
        #expect(undo.call.plugin == "bridge" && undo.call.environment["CNI_COMMAND"] == "DEL")
        let end = try answer(plugin.step(.ran(status: 0, output: [])))
        #expect(end.status == 1 && end.json["code"] == 11 && end.json["msg"] == "portmap: port taken")
    }

    @Test func `A bridge that says nonsense is undone: its address would stay taken`() throws {
        var plugin = plugin("ADD", mappings)
        _ = plugin.step(.begin)
        let undo = try call(plugin.step(.ran(status: 0, output: Array("nonsense".utf8))))
        #expect(undo.call.plugin == "bridge" && undo.call.environment["CNI_COMMAND"] == "DEL")
        let end = try answer(plugin.step(.ran(status: 0, output: [])))
        #expect(end.status == 1 && end.json["msg"] == "bridge printed no JSON")
    }

    @Test func `A removal runs backwards, goes on after a fault, and works without a namespace`() throws {
        var changes = mappings
        changes["prevResult"] = ["ips": []]
        var json = config
        for (key, value) in changes.members { json[key] = value }
        var variables = environment
        variables["CNI_COMMAND"] = "DEL"
        variables["CNI_NETNS"] = nil
        var plugin = CNIPlugin(environment: variables, input: json.encoded())
        let first = try call(plugin.step(.begin))
        #expect(first.call.plugin == "portmap" && first.config["prevResult", "ips"] == [])
        let second = try call(plugin.step(.ran(status: 1, output: Array(#"{"code":5,"msg":"busy"}"#.utf8))))
        #expect(second.call.plugin == "bridge" && second.call.environment["CNI_COMMAND"] == "DEL")
        let end = try answer(plugin.step(.ran(status: 0, output: [])))
        #expect(end.status == 1 && end.json["msg"] == "portmap: busy")
    }

    /// As Debian's plugins say them, and iptables in its other make.
    private static let absent = [
        #"running [/usr/sbin/iptables -t nat -D POSTROUTING -s 10.99.3.2 -j CNI-25bec02ba2e8a1b85ed7e800 -m comment "#
            + #"--comment name: "martlet" id: "c1" --wait]: exit status 2: iptables v1.8.9 (nf_tables): Chain "#
            + "'CNI-25bec02ba2e8a1b85ed7e800' does not exist\nTry `iptables -h' or 'iptables --help' for more information.",
        "running [/usr/sbin/ip6tables -t nat -D POSTROUTING -s fd00::2 -j CNI-25b --wait]: exit status 2: iptables "
            + "v1.8.7 (legacy): Couldn't load target `CNI-25b':No such file or directory",
    ]

    @Test(arguments: absent) func `A removal has nothing to fail by when the rules are gone`(message: String) throws {
        var plugin = plugin("DEL")
        _ = plugin.step(.begin)
        let failure: JSON = ["code": 999, "msg": .string(message)]
        #expect(plugin.step(.ran(status: 1, output: failure.encoded())) == .finish(output: [], status: 0))
        // Rules that cannot be seen are another thing.
        var locked = self.plugin("DEL")
        _ = locked.step(.begin)
        let other: JSON = ["code": 999, "msg": "running [/usr/sbin/iptables -t nat -D POSTROUTING]: Permission denied"]
        #expect(try answer(locked.step(.ran(status: 1, output: other.encoded()))).status == 1)
    }

    @Test func `A removal frees the addresses of a pod whose namespace left its file behind`() throws {
        var plugin = plugin("DEL")
        _ = plugin.step(.begin)
        let failure: JSON = ["code": 999, "msg": "unknown FS magic on \"/run/netns/x\": ef53"]
        let again = try call(plugin.step(.ran(status: 1, output: failure.encoded())))
        #expect(again.call.plugin == "bridge" && again.call.environment["CNI_NETNS"] == "")
        #expect(again.call.environment["CNI_CONTAINERID"] == "c1")
        #expect(plugin.step(.ran(status: 0, output: [])) == .finish(output: [], status: 0))
        // It is tried again once.
        var other = self.plugin("DEL")
        _ = other.step(.begin)
        _ = other.step(.ran(status: 1, output: failure.encoded()))
        #expect(try answer(other.step(.ran(status: 1, output: failure.encoded()))).json["code"] == 999)
    }

    @Test func `A check asks both plugins with the final result`() throws {
        var changes = mappings
        changes["prevResult"] = ["ips": []]
        var plugin = plugin("CHECK", changes)
        #expect(try call(plugin.step(.begin)).call.plugin == "bridge")
        #expect(try call(plugin.step(.ran(status: 0, output: []))).call.plugin == "portmap")
        #expect(plugin.step(.ran(status: 0, output: [])) == .finish(output: [], status: 0))
    }

    @Test func `Garbage collection frees what no living attachment holds`() throws {
        var plugin = plugin("GC", ["cni.dev/valid-attachments": [["containerID": "c1", "ifname": "eth0"]]])
        #expect(plugin.step(.begin) == .listReservations(directory: "/data/cni/networks/martlet"))
        let files = ["c1\r\neth0", "gone\r\neth0", "torn"].map { Array($0.utf8) }
        let free = try call(plugin.step(.reservations(files)))
        #expect(free.call.environment["CNI_CONTAINERID"] == "gone" && free.call.environment["CNI_NETNS"] == "")
        #expect(free.call.environment["CNI_COMMAND"] == "DEL")
        #expect(plugin.step(.ran(status: 0, output: [])) == .finish(output: [], status: 0))
    }

    @Test func `The status is good when the standard plugins are there`() throws {
        var plugin = plugin("STATUS")
        #expect(plugin.step(.begin) == .findPrograms(["bridge", "host-local", "portmap"]))
        #expect(plugin.step(.missing([])) == .finish(output: [], status: 0))
        var other = self.plugin("STATUS")
        _ = other.step(.begin)
        let end = try answer(other.step(.missing(["portmap"])))
        #expect(end.status == 1 && end.json["code"] == 50)
    }

    @Test func `Versions are told, and 1_1_0 is spoken through older standard plugins`() throws {
        var plugin = plugin("VERSION", ["cniVersion": "0.4.0"])
        let version = try answer(plugin.step(.begin))
        #expect(version.json["cniVersion"] == "0.4.0")
        #expect(version.json["supportedVersions"] == ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
        var add = self.plugin("ADD", ["cniVersion": "1.1.0"])
        #expect(try call(add.step(.begin)).config["cniVersion"] == "1.0.0")
        #expect(try answer(add.step(.ran(status: 0, output: result))).json["cniVersion"] == "1.1.0")
        var check = self.plugin("CHECK", ["cniVersion": "1.1.0", "prevResult": ["cniVersion": "1.1.0"]])
        #expect(try call(check.step(.begin)).config["prevResult", "cniVersion"] == "1.0.0")
    }

    @Test(
        arguments: [
            (["cniVersion": "2.0.0"], 1), (["name": ""], 7), (["name": "../x"], 7), (["podCIDRs": ["10.0.0.0"]], 7),
            (["podCIDRs": ["10.0.0/24"]], 7), (["podCIDRs": ["10.0.0.256/24"]], 7), (["podCIDRs": ["10.0.0.0/33"]], 7),
            (["bridge": "a/b"], 7), (["bridge": "sixteen-letters!"], 7), (["dataDir": "relative"], 7), (["mtu": -1], 7),
        ] as [(JSON, Int)])
    func `A wrong configuration is named by its field`(change: JSON, code: Int) throws {
        var plugin = plugin("ADD", change)
        let end = try answer(plugin.step(.begin))
        #expect(end.status == 1 && end.json["code"]?.int == code)
        let field = try #require(change.members.first?.key)
        #expect(field == "cniVersion" || end.json["msg"]?.string?.contains("`\(field)`") == true)
    }

    @Test(arguments: ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"])
    func `A missing variable is named`(name: String) throws {
        var variables = environment
        variables[name] = nil
        var plugin = CNIPlugin(environment: variables, input: config.encoded())
        let end = try answer(plugin.step(.begin))
        #expect(end.status == 1 && end.json["code"] == 4 && end.json["msg"]?.string?.contains(name) == true)
    }

    @Test func `A pod gets an address of each range`() throws {
        var plugin = plugin("ADD", ["podCIDRs": ["10.244.3.0/24", "fd00:244:0:3::/64"]])
        let bridge = try call(plugin.step(.begin))
        #expect(
            bridge.config["ipam", "ranges"] == [[["subnet": "10.244.3.0/24"]], [["subnet": "fd00:244:0:3::/64"]]])
        #expect(bridge.config["ipam", "routes"] == [["dst": "0.0.0.0/0"], ["dst": "::/0"]])
        // What an earlier version has written.
        var old = config
        (old["podCIDRs"], old["podCIDR"]) = (nil, "10.1.0.0/24")
        #expect(try NetworkConfig(old).podCIDRs == ["10.1.0.0/24"])
    }

    @Test func `The list that the runtime reads holds what the plugin needs`() throws {
        var wanted = NetworkConfig(podCIDRs: ["10.244.3.0/24"], dataDirectory: "/data/cni")
        wanted.mtu = 1450
        var entry = try #require(wanted.list["plugins"]?[0])
        #expect(entry["capabilities", "portMappings"] == true)
        entry["name"] = wanted.list["name"]
        entry["cniVersion"] = wanted.list["cniVersion"]
        #expect(try NetworkConfig(entry) == wanted)
    }

    @Test func `Fuzzed configurations, environments and answers of plugins neither trap nor go on for ever`() {
        var random = SplitMix64(seed: Fuzz.seed(42))
        var changes = mappings
        changes["cniVersion"] = "1.1.0"
        changes["prevResult"] = ["ips": []]
        changes["cni.dev/valid-attachments"] = [["containerID": "c1", "ifname": "eth0"]]
        var json = config
        for (key, value) in changes.members { json[key] = value }
        let good = json.encoded()
        for _ in 0..<Fuzz.runs(10_000) {
            var variables = environment
            variables["CNI_COMMAND"] = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"].randomElement(using: &random)
            if Int.random(in: 0..<8, using: &random) == 0 {
                variables["CNI_IFNAME"] = String(decoding: Fuzz.spoiled([1, 2, 3], &random), as: UTF8.self)
            }
            var plugin = CNIPlugin(environment: variables, input: Fuzz.spoiled(good, &random))
            var outcome = CNIPlugin.Outcome.begin
            var steps = 0
            loop: while true {
                steps += 1
                switch plugin.step(outcome) {
                case .run:
                    let status = Int32.random(in: 0...1, using: &random)
                    outcome = .ran(status: status, output: Fuzz.spoiled(result, &random))
                case .listReservations: outcome = .reservations([Fuzz.spoiled(Array("c9\r\neth0".utf8), &random)])
                case .findPrograms: outcome = .missing([])
                case .finish: break loop
                }
            }
            #expect(steps <= 4)
        }
    }
}
