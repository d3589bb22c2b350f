import ArgumentParser
import FuzzSupport
import Martlet
import Testing

@testable import MartletFrontend

private func file(_ text: String) -> ConfigurationFile {
    ConfigurationFile(path: "martlet.yaml", text: Array(text.utf8), programs: SettingGroups.all)
}

@Suite("Settings and where they come from") struct SettingsTests {
    @Test func aFlagIsDeclaredOnce() throws {
        let settings = SettingGroups.daemon.settings
        let images = try #require(settings.first { $0.name == "images" })
        #expect(images.variable == "MARTLET_IMAGES")
        #expect(images.form == .text)
        #expect(settings.first { $0.name == "role" }?.form == .list)
        #expect(settings.first { $0.name == "process-runtime" }?.form == .truth)
        let proxy = try #require(settings.first { $0.name == "service-proxy" })
        #expect(proxy.hasInverse)
        #expect(proxy.arguments(["false"]) == ["--no-service-proxy"])
        #expect(!settings.contains { $0.name.hasPrefix("no-") || $0.name == "help" })
    }

    @Test func whoSpeaksLaterIsHeardFirst() {
        let written = file(
            """
            node-name: from-file
            log-level: debug
            api-san: [a.example, b.example]
            process-runtime: true
            """)
        #expect(written.report == [])
        let layers = Layers(
            .daemon, words: ["--log-level=error"],
            environment: { ["MARTLET_NODE_NAME": "from-variable", "MARTLET_PROCESS_RUNTIME": "false"][$0] },
            file: written)
        #expect(layers.faults == [])
        #expect(layers.arguments == ["--node-name=from-variable", "--api-san=a.example", "--api-san=b.example"])
        func origin(_ name: String) -> String? {
            layers.choices.first { $0.setting.name == name }.map { "\($0.origin)" }
        }
        #expect(origin("log-level") == "flag")
        #expect(origin("node-name") == "$MARTLET_NODE_NAME")
        #expect(origin("api-san") == "martlet.yaml:3")
        #expect(origin("bridge") == "default")
    }

    @Test func flagsAreShownWithTheirValues() {
        let layers = Layers(
            .daemon,
            words: [
                "--images=/srv/images", "--node-listen", "127.0.0.1:10260", "--api-san=a", "--api-san", "b",
                "--no-service-proxy", "--log-level=debug", "--log-level=error", "--process-runtime",
            ], environment: { _ in nil }, file: nil)
        func values(_ name: String) -> [String]? { layers.choices.first { $0.setting.name == name }?.values }
        #expect(values("images") == ["/srv/images"] && values("node-listen") == ["127.0.0.1:10260"])
        #expect(values("api-san") == ["a", "b"] && values("log-level") == ["error"])
        #expect(values("service-proxy") == ["false"] && values("process-runtime") == ["true"])
        #expect(layers.arguments == [])
    }

    @Test func theParserTakesWhatComesOut() throws {
        let layers = Layers(
            .daemon, words: [], environment: { $0 == "MARTLET_ROLE" ? "gateway, worker" : nil },
            file: file("overlay: vxlan\nservice-proxy: true\nnode-listen: 127.0.0.1:10260"))
        let node = try NodeOptions.parse(layers.arguments)
        #expect(node.chosenRoles == [.gateway, .worker])
        #expect(node.overlay == .vxlan)
        #expect(node.serviceProxy == true)
        #expect(node.nodeListen == .ip("127.0.0.1", port: 10260))
    }

    @Test func everyFaultIsTold() {
        let written = file(
            """
            # What is wrong here is told at once.
            nodeName: worker1
            api-adress: 10.0.0.1:6443
            xyzzy: 1
            process-runtime: maybe
            node-listen: 10.0.0.1:70000
            log-level: loud
            api-san:
              - good.example
              - {a: b}
            images: [a, b]
            peer-port: 99999
            service-cidr: 10.96.0.0/40
            bridge:
            log-level: info
            """)
        let expected = [
            (2, "unknown key nodeName; did you mean node-name?"),
            (3, "unknown key api-adress; did you mean api-address?"), (4, "unknown key xyzzy; martlet config show"),
            (5, "process-runtime is true or false"), (6, "70000 is no port"), (10, "api-san: an element is text"),
            (11, "images takes one value"), (12, "99999 is no port"), (13, "is no range of addresses"),
            (14, "bridge takes a value, and not nothing"), (15, "\"log-level\" is set a second time"),
        ]
        for (line, text) in expected {
            #expect(
                written.faults.contains { $0.line == line && $0.message.contains(text) },
                "line \(line): \(text)\n\(written.report.joined(separator: "\n"))")
        }
        #expect(written.faults.count == expected.count, "\(written.report.joined(separator: "\n"))")
    }

    @Test func aValueOutOfAListNamesTheList() {
        let report = file("overlay: tunnels\nrole:\n  - worker\n  - shepherd\n").report
        #expect(report.count == 2)
        #expect(report.first?.hasPrefix("martlet.yaml:1: overlay: ") == true)
        #expect(report.first?.contains("host-gw") == true, "\(report)")
        #expect(report.last?.hasPrefix("martlet.yaml:4: role: ") == true, "\(report)")
    }

    @Test func whatIsNoMappingIsTold() {
        #expect(
            file("- a\n- b").report == [
                "martlet.yaml:1: the file is a mapping: write lines of KEY: VALUE, as node-name: worker1"
            ])
        #expect(file("a: [").faults.count == 1)
        let open = file("node-name: a\napi-san: [x,\n  y\nbridge: b\n").report
        #expect(open.count == 1 && open.first?.contains("the [ of line 2") == true, "\(open)")
        #expect(file("# nothing\n").report == [])
    }

    @Test func rangesThatMeetAreTold() {
        func faults(_ text: String) -> [Int] { file(text).planFaults.map(\.line) }
        #expect(faults("node-name: a\npod-cidr: 10.96.3.0/24\n") == [2])
        #expect(faults("service-cidr: 10.244.0.0/24\n") == [1])
        #expect(faults("pod-cidr: 10.96.3.0/24\nservice-cidr: 10.97.0.0/16\n").isEmpty)
        #expect(faults("pod-cidr: 10.244.0.0/30\n") == [1])
        #expect(faults("node-name: a\n").isEmpty)
    }

    @Test func anAccessLogHasAFolder() {
        #expect(
            file("access-log: /nowhere/at/all.log").report == [
                "martlet.yaml:1: access-log: /nowhere/at/all.log cannot be written: there is no folder /nowhere/at/"
            ])
        #expect(file("access-log: /tmp").report == ["martlet.yaml:1: access-log: /tmp is a folder: name a file in it"])
        for good in ["/tmp/access.log", "access.log", "/access.log", "\"-\""] {
            #expect(file("access-log: \(good)").report == [])
        }
    }

    @Test func imagesAreInAFolderThatIsThere() {
        #expect(file("images: /nowhere").report == ["martlet.yaml:1: images: there is no folder /nowhere"])
        #expect(file("images: /etc/passwd").report == ["martlet.yaml:1: images: there is no folder /etc/passwd"])
        #expect(file("images: /tmp").report == [])
    }

    @Test func aVariableIsCheckedToo() {
        let layers = Layers(
            .daemon, words: [],
            environment: {
                ["MARTLET_EDGE_ADDRESS": "here", "MARTLET_EPHEMERAL": "x", "MARTLET_PROCESS_RUNTIME": "x"][$0]
            },
            file: nil)
        #expect(layers.faults.count == 2)
        #expect(layers.faults.contains { $0.hasPrefix("$MARTLET_EDGE_ADDRESS: ") })
        #expect(layers.faults.contains("$MARTLET_PROCESS_RUNTIME is true or false, and not \"x\""))
    }

    @Test(arguments: [("node_name", "node-name"), ("nodeAdress", "node-address"), ("ovrelay", "overlay"), ("zzz", nil)])
    func aSlipOfTheFingersIsUnderstood(written: String, meant: String?) {
        let known = SettingGroups.daemon.settings.map(\.name)
        #expect(Suggestion.nearest(to: written, among: known) == meant)
    }

    @Test(.timeLimit(.minutes(60))) func fuzzedFilesNeverTrap() {
        let good = Array("node-name: a\napi-san: [x, y]\nrole:\n  - worker\nnode-listen: '[::]:10250'\n".utf8)
        let programs = SettingGroups.all
        var random = SplitMix64(seed: Fuzz.seed(2026))
        for _ in 0..<Fuzz.runs(30) {
            _ = ConfigurationFile(path: "f", text: Fuzz.spoiled(good, &random), programs: programs)
        }
    }
}
