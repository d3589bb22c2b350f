import ArgumentParser
import Martlet
import MartletFrontend
import Testing

@Suite("Flags of virtual addresses") struct VirtualIPFlagTests {
    @Test(arguments: ["192.0.2.10/24", "192.0.2.10", "fd00::10/64"])
    func addressesAreTaken(_ text: String) throws { #expect(try Flags.virtualAddress(text) == text) }

    @Test(arguments: ["", "/", "192.0.2.10/", "192.0.2.10/0", "192.0.2.10/33", "192.0.2/24", "a/24", "1.2.3.4/5/6"])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(throws: (any Error).self) { try Flags.virtualAddress(text) }
    }

    @Test func intervalsHaveAUnitAndSteps() throws {
        #expect(try Flags.interval("100ms") == 100)
        #expect(try Flags.interval("1s") == 1_000)
        #expect(try Flags.interval("255s") == 255_000)
        for text in ["", "100", "5ms", "15ms", "0s", "256s", "99999999999999999999s", "-1s", "ms"] {
            #expect(throws: (any Error).self) { try Flags.interval(text) }
        }
    }

    @Test func versionTwoCountsInSeconds() throws {
        var settings = VirtualIPSettings()
        try VirtualIPTerms.parse(["--vip-version", "2"]).apply(to: &settings)
        #expect(settings.version == 2 && settings.intervalMilliseconds == 1_000)
        try VirtualIPTerms.parse(["--vip-version", "2", "--vip-interval", "3s"]).apply(to: &settings)
        #expect(settings.intervalMilliseconds == 3_000)
    }

    @Test func whatIsNotToldStays() throws {
        var settings = VirtualIPSettings()
        settings.addresses = ["192.0.2.10/24"]
        settings.routerID = 9
        settings.preempts = true
        let before = settings
        try VirtualIPTerms.parse([]).apply(to: &settings)
        try VirtualIPOptions.parse([]).apply(to: &settings)
        #expect(settings == before)
    }
}
