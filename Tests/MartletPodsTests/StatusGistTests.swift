import MartletObject
import MartletPods
import Testing

@Suite("Whether a status tells something else") struct StatusGistTests {
    private func status(
        _ phase: String, ready: String? = "True", ip: String = "10.0.0.1", restarts: Int64 = 0
    ) -> JSON {
        var status: JSON = [
            "phase": .string(phase), "podIP": .string(ip),
            "containerStatuses": [
                [
                    "name": "c", "containerID": "containerd://1", "ready": .bool(ready == "True"),
                    "restartCount": .int(restarts), "state": ["running": ["startedAt": "2026-01-01T00:00:00Z"]],
                ]
            ],
        ]
        if let ready { status["conditions"] = [["type": "Ready", "status": .string(ready)]] }
        return status
    }
    private func isContradicted(_ said: JSON, by told: JSON) -> Bool {
        StatusGist(said).isContradicted(by: StatusGist(told))
    }

    @Test func wordsAndTimesAreNoContradiction() {
        var told = status("Running")
        told["message"] = "hello"
        told["containerStatuses"] = [
            [
                "name": "c", "containerID": "containerd://1", "ready": true, "restartCount": 0,
                "state": ["running": ["startedAt": "2026-01-02T00:00:00Z"]],
            ]
        ]
        told["conditions"] = [["type": "Ready", "status": "True"], ["type": "Foreign", "status": "False"]]
        #expect(!isContradicted(status("Running"), by: told))
        #expect(!isContradicted([:], by: ["phase": "Pending"]))
    }

    @Test func whatWasBeforeIsPutRight() {
        for told: JSON in [
            [:], ["phase": "Pending"], status("Running", ready: "False"), status("Running", ready: nil),
            status("Running", ip: "10.0.0.2"), status("Running", restarts: 3),
        ] { #expect(isContradicted(status("Running"), by: told), "\(told)") }
        #expect(isContradicted(status("Succeeded", ready: "False"), by: status("Running")))
    }

    @Test func thatItHasEndedStands() {
        #expect(!isContradicted(status("Pending", ready: "False"), by: ["phase": "Failed"]))
        #expect(!isContradicted(status("Running"), by: status("Succeeded", ready: "False")))
    }
}
