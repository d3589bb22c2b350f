import MartletBase
import Testing

@testable import Martlet

@Suite struct MachineTests {
    @Test func addressesOfTheLinkAndThoseThatChangeAreNotTold() {
        let text = """
            fd570000000000000000000000000021 02 40 00 80     eth0
            fe80000000000000ac3e02fffe4c11aa 02 40 20 80     eth0
            fd570000000000001234567812345678 02 40 00 01     eth0
            00000000000000000000000000000001 01 80 10 80       lo
            nonsense
            """
        let lasting = Machine.interfaceAddresses(text).filter(\.isLasting)
        #expect(lasting.map(\.interface) == ["eth0"] && lasting.map(\.address) == [IPAddress("fd57::21")])
        #expect(Machine.interfaceAddresses(text).count == 4)
    }
}
