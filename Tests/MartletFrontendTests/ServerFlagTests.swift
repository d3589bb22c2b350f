import ArgumentParser
import MartletFrontend
import Testing

@Suite("The flag of an API's place") struct ServerFlagTests {
    @Test(arguments: [
        ("10.0.0.1", "https://10.0.0.1:6443"), ("10.0.0.1:7443", "https://10.0.0.1:7443"),
        ("fd00::1", "https://[fd00::1]:6443"), ("[fd00::1]:7443", "https://[fd00::1]:7443"),
        ("api.example.org", "https://api.example.org:6443"), ("api.example.org:443", "https://api.example.org:443"),
        ("https://api.example.org", "https://api.example.org"), ("https://10.0.0.1/k8s", "https://10.0.0.1/k8s"),
    ])
    func placesAreTaken(text: String, url: String) throws { #expect(try Flags.apiServer(text) == url) }

    @Test(arguments: ["", "https://", "http://10.0.0.1", "10.0.0.1:x", "10.0.0.1:70000", "a b", "a\nb: c", "a/b"])
    func whatIsNoneIsRefused(_ text: String) { #expect(throws: (any Error).self) { try Flags.apiServer(text) } }
}
